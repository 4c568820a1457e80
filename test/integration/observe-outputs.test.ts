import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { withAccessLog } from "../support/access-log.ts";
import { binary } from "../support/binary.ts";
import { configOf } from "../support/config.ts";
import { LineLog } from "../support/line-log.ts";
import { load, rawRequest } from "../support/load-client.ts";
import { startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

const DROPPED = "llmproxy_access_log_dropped_lines_total";

let upstream: DemoUpstream;
let directory: string;
beforeAll(() => {
  upstream = startUpstream({ name: "demo", recordedMax: 0 });
  directory = mkdtempSync(join(tmpdir(), "llmproxy-test-"));
});
afterAll(() => {
  upstream.stop();
  rmSync(directory, { recursive: true, force: true });
});

const config = (path: string) =>
  withAccessLog(configOf({ pool: { upstreams: { demo: upstream.url } } }), { path });

/** Sends requests whose lines are long, and expects each to be answered. */
async function flood(port: number, total: number): Promise<void> {
  const id = `X-Request-Id: ${"x".repeat(250)}`;
  const path = `/v1/${"y".repeat(2000)}`;
  const statuses = await load(port, 16, total, () => rawRequest("GET", path, [id], ""));
  expect(statuses).toEqual(new Map([[404, total]]));
}

/** Starts the binary with these descriptors for its output, and gives its ports once it listens. */
async function spawnWith(stdout: number, stderr: "pipe" | number, path: string) {
  const file = join(directory, "config.yaml");
  writeFileSync(file, JSON.stringify(config(path)));
  const child = Bun.spawn([binary, "--workers", "2", "--config", file], { stdout, stderr, env: {} });
  return {
    child,
    log: typeof stderr === "number" ? null : new LineLog(child.stderr as ReadableStream<Uint8Array>),
  };
}

/** A named pipe, open at both ends, that is read only when the test says so. */
function pipe(name: string): number {
  const path = join(directory, name);
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  return openSync(path, "r+");
}

async function portsOf(log: LineLog): Promise<{ port: number; admin: number }> {
  await log.until((text) => text.includes("admin=true"));
  const [port, admin] = [...log.text.matchAll(/ port=(\d+)/g)].map((match) => Number(match[1]));
  return { port: port!, admin: admin! };
}

async function droppedOf(admin: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  return Number(new RegExp(`^${DROPPED} (\\d+)$`, "m").exec(text)![1]);
}

describe("requests are answered, and lost lines counted, while the access log", () => {
  test("is a pipe that nobody reads", async () => {
    const fd = pipe("unread");
    const { child, log } = await spawnWith(fd, "pipe", "stdout");
    const { port, admin } = await portsOf(log!);
    await flood(port, 6000);
    await eventually("lines are dropped", async () => (await droppedOf(admin)) > 0);
    expect(await (await fetch(`http://127.0.0.1:${admin}/health`)).text()).toBe("ok\n");
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    closeSync(fd);
  }, 30_000);

  test("is a pipe whose reader has gone", async () => {
    const path = join(directory, "deserted");
    expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, "w");
    const { child, log } = await spawnWith(writer, "pipe", "stdout");
    const { port, admin } = await portsOf(log!);
    closeSync(writer);
    closeSync(reader);
    await flood(port, 200);
    await eventually("lines are dropped", async () => (await droppedOf(admin)) > 0);
    await flood(port, 200);
    await eventually("all lines are dropped", async () => (await droppedOf(admin)) === 400);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });

  test.skipIf(process.platform !== "linux")("is on a full disk", async () => {
    const proxy = await startProxy({ config: config("/dev/full") });
    await flood(proxy.port(), 500);
    await eventually("all lines are dropped", async () => (await proxy.metrics()).get(DROPPED) === 500);
    await proxy.stop();
  });
});

describe("the program's log", () => {
  test("does not hold anything up when nobody reads it", async () => {
    const fd = pipe("unread-stderr");
    // Every request of a group whose only upstream fails is a line of the detailed log.
    const out = openSync(join(directory, "access.log"), "a");
    const file = join(directory, "debug.yaml");
    const retry = { enabled: true, attempts: 1, initial: 100 };
    const groups = configOf({ pool: { upstreams: { dead: "http://127.0.0.1:1" }, client: { retry } } });
    writeFileSync(file, JSON.stringify(groups));
    const child = Bun.spawn([binary, "--debug", "--workers", "1", "--config", file], {
      stdout: out,
      stderr: fd,
      env: {},
    });
    let text = "";
    const chunk = Buffer.alloc(4096);
    while (!text.includes("admin=true")) text += chunk.toString("latin1", 0, readSync(fd, chunk));
    const [port, admin] = [...text.matchAll(/ port=(\d+)/g)].map((match) => Number(match[1]));
    // Far more than a pipe holds.
    const statuses = await load(port!, 64, 3000, (i) =>
      rawRequest("GET", "/v1/models", [`X-Request-Id: ${i}-${"x".repeat(400)}`], ""),
    );
    expect(statuses).toEqual(new Map([[502, 3000]]));
    expect((await fetch(`http://127.0.0.1:${admin}/metrics`)).status).toBe(200);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    closeSync(fd);
    closeSync(out);
  }, 30_000);

  test("and the access log do not mix their lines where they go to the same pipe", async () => {
    const fd = pipe("shared");
    const { child } = await spawnWith(fd, fd, "stdout");
    let text = "";
    const chunk = Buffer.alloc(65_536);
    const read = () => {
      text += chunk.toString("latin1", 0, readSync(fd, chunk));
    };
    while (!text.includes("admin=true")) read();
    const port = Number(/ port=(\d+)/.exec(text)![1]);
    await flood(port, 20);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    // Something to read in any case, so that reading cannot wait for ever.
    writeFileSync(fd, "the end\n");
    while (!text.endsWith("the end\n")) read();
    const lines = text.split("\n").slice(0, -2);
    const access = lines.filter((line) => line.startsWith("{"));
    expect(access.map((line) => JSON.parse(line).status)).toEqual(new Array(20).fill(404));
    for (const line of lines.filter((candidate) => !candidate.startsWith("{")))
      expect(line).toMatch(/^\S+Z (INFO|WARN) /);
  });
});

describe("the start", () => {
  test("fails with a sentence when the access log cannot be opened", async () => {
    const path = join(directory, "no", "such", "place.log");
    const failure = await startProxy({ config: config(path) }).then(
      () => expect.unreachable(),
      (error: Error) => error.message,
    );
    expect(failure).toContain(`the access log ${path} cannot be opened: ENOENT`);
  });

  test("hears SIGUSR1 also where there is no access log to open again", async () => {
    const proxy = await startProxy({ config: configOf({ pool: { upstreams: { demo: upstream.url } } }) });
    proxy.signal("SIGUSR1");
    expect((await fetch(`${proxy.url()}/v1/models`)).status).toBe(200);
    await proxy.stop();
  });

  test("says version, workers, and what listens where", async () => {
    const proxy = await startProxy({ config: config("stdout"), workers: 3 });
    expect(proxy.stderr).toMatch(/ INFO started version=\S+ commit=\S+ bun=\S+ workers=3\n/);
    expect(proxy.stderr).toMatch(/ INFO listening forward=pool address=127\.0\.0\.1 port=\d+ group=pool /);
    await proxy.stop();
  });
});
