import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { binary } from "../support/binary.ts";
import { configOf } from "../support/config.ts";
import { LineLog } from "../support/line-log.ts";
import { unusedPort } from "../support/ports.ts";
import { childOf, containerCommand, makeImageRoot, NONROOT, whyNoContainer } from "./image-root.ts";

const dockerfile = readFileSync(join(import.meta.dir, "../../Dockerfile"), "utf8").replaceAll("\\\n", " ");
const stages = dockerfile.split(/^(?=FROM )/m).slice(1);
const image = stages.at(-1)!;

/** Arguments of an instruction of the image that are written as a JSON list. */
function listOf(instruction: RegExp): string[] {
  return JSON.parse(instruction.exec(image)![1]!) as string[];
}
const entrypoint = listOf(/^ENTRYPOINT (.*)$/m);
const command = listOf(/^CMD (.*)$/m);
const healthcheck = listOf(/^HEALTHCHECK .*CMD (.*)$/m);

describe("the Dockerfile", () => {
  test("makes an image of glibc, one layer with the executable, and a user by number", () => {
    expect(image).toStartWith("FROM gcr.io/distroless/base-debian12:nonroot\n");
    expect(image.match(/^(COPY|ADD|RUN) .*$/gm)).toEqual([
      "COPY --from=build /src/dist/llmproxyd /usr/local/bin/llmproxyd",
    ]);
    expect(image).toContain(`\nUSER ${NONROOT}:${NONROOT}\n`);
  });

  test("runs the executable itself, without a shell", () => {
    expect(entrypoint).toEqual(["/usr/local/bin/llmproxyd"]);
    expect(healthcheck[0]).toBe(entrypoint[0]!);
  });
});

const reason = whyNoContainer();
if (reason !== null) console.log(`image: not run, as ${reason}`);

describe.skipIf(reason !== null)("in a root directory with nothing but what the image holds", () => {
  const root = mkdtempSync(join(tmpdir(), "llmproxy-image-"));
  const adminPort = unusedPort();
  let container: Bun.Subprocess<"ignore", "ignore", "pipe">;
  let log: LineLog;
  let forwardPort: number;
  let pid: number;
  let upstream: Bun.Server<undefined>;

  beforeAll(async () => {
    upstream = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json({ ok: true }) });
    chmodSync(root, 0o755);
    makeImageRoot(root, binary);
    const config = configOf({ chat: { upstreams: { here: `http://127.0.0.1:${upstream.port}` } } });
    const server = { ...(config["http_server"] as object), admin: { address: "127.0.0.1", port: adminPort } };
    mkdirSync(join(root, "etc/llmproxyd"));
    writeFileSync(
      join(root, "etc/llmproxyd/config.yaml"),
      JSON.stringify({ ...config, http_server: server }),
    );
    container = Bun.spawn(containerCommand(root, [...entrypoint, ...command]), {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    log = new LineLog(container.stderr);
    await log.until((text) => text.includes(" listening admin=true "));
    forwardPort = Number(/forward=chat address=\S+ port=(\d+)/.exec(log.text)![1]);
    pid = childOf(container.pid)!;
  });
  afterAll(async () => {
    if (container.exitCode === null) container.kill("SIGKILL");
    await container.exited;
    await upstream.stop(true);
    rmSync(root, { recursive: true, force: true });
  });

  /** Runs the image's health check beside it; gives the exit code. */
  const healthOf = () =>
    Bun.spawn(containerCommand(root, healthcheck), { stdio: ["ignore", "ignore", "ignore"] }).exited;

  test("it is process 1, without rights, and can write nothing", () => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(status).toMatch(/^NSpid:\t\d+\t1$/m);
    expect(status).toMatch(new RegExp(`^Uid:\t${NONROOT}\t${NONROOT}\t${NONROOT}\t${NONROOT}$`, "m"));
    expect(status).toMatch(/^CapEff:\t0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8").split("\n");
    expect(mounts.find((mount) => mount.split(" ")[4] === "/")).toMatch(/ \/ ro,/);
  });

  test("it serves", async () => {
    const answer = await fetch(`http://127.0.0.1:${forwardPort}/v1/models`);
    expect(await answer.json()).toEqual({ ok: true });
  });

  test("the health check passes while it serves, and fails once it has stopped by SIGTERM", async () => {
    expect(await healthOf()).toBe(0);
    process.kill(pid, "SIGTERM");
    expect(await container.exited).toBe(0);
    expect(await healthOf()).toBe(1);
  });
});
