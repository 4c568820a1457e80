import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";

import { startUpstream } from "../../src/demo/upstream.ts";
import { ask } from "../support/client-connection.ts";
import { configOf, type Keys } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { StartFailure, startProxy } from "../support/proxy.ts";
import { errorOf, eventually } from "../support/wait.ts";

const upstreams = { up: "http://127.0.0.1:9" };

/** Starts in vain, and gives what the process left. */
async function failure(config: Keys): Promise<StartFailure> {
  const error = await errorOf(startProxy({ config, workers: 2 }));
  if (!(error instanceof StartFailure)) throw error;
  return error;
}

/** Listens without SO_REUSEPORT on a free port of the loopback address while `run` runs. */
async function withPortTaken(run: (port: number) => Promise<void>): Promise<void> {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  try {
    await run(listener.port);
  } finally {
    listener.stop(true);
  }
}

function configWithAdmin(admin: Keys): Keys {
  const config = configOf({ main: { upstreams } }) as { http_server: Keys };
  return { ...config, http_server: { ...config.http_server, admin } };
}

/** One line, for people. */
function expectClear({ exitCode, stderr }: StartFailure, ...parts: readonly string[]): void {
  expect(exitCode).toBe(1);
  const errors = stderr.split("\n").filter((line) => line !== "" && !/ (INFO|WARN) /.test(line));
  expect(errors.length).toBe(1);
  for (const part of parts) expect(errors[0]).toContain(part);
}

describe("the start ends with one error and 1", () => {
  test("where the port of a forward is in use, naming the forward", async () => {
    await withPortTaken(async (port) => {
      const config = configOf({ good: { upstreams }, bad: { upstreams, forward: { port } } });
      expectClear(await failure(config), 'forward "bad"', `127.0.0.1:${port}`, "in use");
    });
  });

  test("where the address of a forward is none of this machine's, naming the forward", async () => {
    const config = configOf({
      good: { upstreams },
      bad: { upstreams, forward: { address: "192.0.2.1", port: 3456 } },
    });
    expectClear(await failure(config), 'forward "bad"', "192.0.2.1:3456", "address");
  });

  test("where the port of the admin listener is in use", async () => {
    await withPortTaken(async (port) => {
      expectClear(
        await failure(configWithAdmin({ address: "127.0.0.1", port })),
        "admin",
        String(port),
        "in use",
      );
    });
  });

  test("where the address of the admin listener is none of this machine's", async () => {
    expectClear(
      await failure(configWithAdmin({ address: "192.0.2.1", port: 3456 })),
      "admin",
      "192.0.2.1:3456",
    );
  });
});

test("a forward listens on IPv6", async () => {
  const upstream = startUpstream({ name: "demo", address: "::1" });
  await using proxy = await startProxy({
    config: configOf({ main: { upstreams: { up: upstream.url }, forward: { address: "::1" } } }),
  });
  const response = await fetch(`http://[::1]:${proxy.port()}/v1/models`);
  expect(response.status).toBe(200);
  await response.arrayBuffer();
  upstream.stop();
});

test("forwards with fixed ports listen on them, in every worker", async () => {
  const upstream = startUpstream({ name: "demo" });
  const port = unusedPort();
  await using proxy = await startProxy({
    config: configOf({ main: { upstreams: { up: upstream.url }, forward: { port } } }),
    workers: 3,
  });
  expect(proxy.port()).toBe(port);
  for (let round = 0; round < 20; round++) expect((await ask(port, "/v1/models")).status).toBe(200);
  upstream.stop();
});

test("the log names no credentials", async () => {
  await using proxy = await startProxy({
    config: configOf({
      main: {
        upstreams: { up: { url: "http://user:hidden@127.0.0.1:9/v1?key=hidden", headers: [] } },
        client: { proxy: { enabled: false, url: "http://gate:hidden@127.0.0.1:9" } },
      },
    }),
    args: ["--debug"],
  });
  await ask(proxy.port(), "/v1/models?key=hidden");
  expect(proxy.stderr + proxy.stdout).not.toContain("hidden");
});

describe("the admin listener", () => {
  test("says that it is healthy, counts requests, and knows nothing else", async () => {
    const upstream = startUpstream({ name: "demo" });
    await using proxy = await startProxy({
      config: configOf({ main: { upstreams: { demo: upstream.url } } }),
    });
    const health = await fetch(`${proxy.adminUrl}/health`);
    expect(health.status).toBe(200);
    await ask(proxy.port(), "/v1/models");
    await ask(proxy.port(), "/v1/chat/completions", { body: "{}" });
    const metrics = await fetch(`${proxy.adminUrl}/metrics`);
    expect(metrics.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
    const values = await proxy.metrics();
    const requests = [...values].filter(([series]) => series.startsWith("llmproxy_http_requests_total{"));
    expect(requests.reduce((sum, [, value]) => sum + value, 0)).toBe(2);
    expect(values.get('llmproxy_upstream_requests_total{group="main",upstream="demo"}')).toBe(2);
    expect((await fetch(`${proxy.adminUrl}/nothing`)).status).toBe(404);
    expect((await fetch(`${proxy.adminUrl}/health`, { method: "POST" })).status).toBe(405);
    upstream.stop();
  });
});

test("the process has as many worker threads as asked for", async () => {
  for (const workers of [1, 3]) {
    await using proxy = await startProxy({ config: configOf({ main: { upstreams } }), workers });
    // A thread has its creator's name until it has its own.
    await eventually(
      `there are ${workers}`,
      () => threadNames(proxy.pid).filter((name) => name === "Worker").length === workers,
    );
  }
});

function threadNames(pid: number): string[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map((task) => {
    try {
      return readFileSync(`${tasks}/${task}/comm`, "latin1").trim();
    } catch {
      return "gone";
    }
  });
}
