import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import {
  type AccessLine,
  readAccessLog,
  readGrowingAccessLog,
  withAccessLog,
} from "../support/access-log.ts";
import { ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { load, rawRequest } from "../support/load-client.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

const REQUESTS = 50_000;
const BODY = JSON.stringify({ model: "demo-1", messages: [{ role: "user", content: "Hi" }] });

let directory: string;
let upstream: DemoUpstream;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "llmproxy-test-"));
  upstream = startUpstream({ name: "demo", recordedMax: 0 });
});
afterAll(() => {
  upstream.stop();
  rmSync(directory, { recursive: true, force: true });
});

function start(path: string, keys: Record<string, unknown> = {}, forward = {}): Promise<RunningProxy> {
  const config = configOf({ pool: { upstreams: { demo: upstream.url }, forward } });
  return startProxy({ config: withAccessLog(config, { path, ...keys }), workers: 4 });
}

/** Ids of a load: each its own, of very different lengths. */
const idOf = (number: number) => `${number}-${"x".repeat(number % 200)}`;

function request(number: number): Uint8Array {
  const id = `X-Request-Id: ${idOf(number)}`;
  return number % 10 === 0
    ? rawRequest("POST", "/v1/chat/completions", [id, "x-demo-script: tokens=2"], BODY)
    : rawRequest("GET", `/v1/models?number=${number}`, [id], "");
}

function expectEachOnce(lines: readonly AccessLine[], total: number): void {
  expect(lines.length).toBe(total);
  expect(new Set(lines.map((line) => line.request_id)).size).toBe(total);
  for (const line of lines) {
    const number = Number(/^\d+/.exec(line.request_id)![0]);
    const path = number % 10 === 0 ? "/v1/chat/completions" : "/v1/models";
    expect(line).toMatchObject({
      request_id: idOf(number),
      path,
      status: 200,
      outcome: "ok",
      forward: "pool",
    });
  }
}

describe("the access log of four workers", () => {
  test(`has one whole line for each of ${REQUESTS} requests`, async () => {
    const path = join(directory, "load.log");
    const proxy = await start(path);
    expect(await load(proxy.port(), 48, REQUESTS, request)).toEqual(new Map([[200, REQUESTS]]));
    expect((await proxy.metrics()).get("llmproxy_access_log_dropped_lines_total")).toBe(0);
    // The end writes what is still on its way.
    await proxy.stop();
    expectEachOnce(readAccessLog(path), REQUESTS);
  }, 120_000);

  test("loses no line when the file is moved away under load, with a signal or without", async () => {
    const path = join(directory, "rotated.log");
    const proxy = await start(path);
    const total = 6000;
    const loading = load(proxy.port(), 16, total, request);
    for (const old of ["rotated.log.1", "rotated.log.2"]) {
      await eventually("there are lines", () => existsSync(path) && readFileSizeOf(path) > 0);
      renameSync(path, join(directory, old));
      if (old.endsWith("1")) proxy.signal("SIGUSR1");
      await eventually("the file is made anew", async () => {
        await fetch(`${proxy.url()}/v1/models`, { headers: { "x-request-id": "extra" } });
        return existsSync(path);
      });
    }
    await loading;
    await proxy.stop();
    const all = ["rotated.log", "rotated.log.1", "rotated.log.2"].flatMap((name) =>
      readAccessLog(join(directory, name)),
    );
    expectEachOnce(
      all.filter((line) => line.request_id !== "extra"),
      total,
    );
  }, 60_000);

  test("goes to standard output, with nothing else between", async () => {
    const proxy = await start("stdout");
    await load(proxy.port(), 16, 2000, request);
    await proxy.stop();
    const lines = proxy.stdout.split("\n").slice(0, -1);
    expectEachOnce(
      lines.map((line) => JSON.parse(line) as AccessLine),
      2000,
    );
  });

  test("is there as text, too", async () => {
    const proxy = await start("stdout", { format: "text", query: true });
    await fetch(`${proxy.url()}/v1/models?key=sk-1&a=b`, { headers: { "x-request-id": "an id" } });
    await proxy.stop();
    expect(proxy.stdout).toMatch(
      /^\S+Z forward=pool client=127\.0\.0\.1 method=GET path=\/v1\/models\?key=\*\*\*&a=b status=200 outcome=ok .* request_id="an id"\n$/,
    );
    expect(proxy.stdout).not.toContain("sk-1");
  });

  test("is off unless it is switched on", async () => {
    const proxy = await startProxy({ config: configOf({ pool: { upstreams: { demo: upstream.url } } }) });
    await fetch(`${proxy.url()}/v1/models`);
    await proxy.stop();
    expect(proxy.stdout).toBe("");
  });
});

function readFileSizeOf(path: string): number {
  return Bun.file(path).size;
}

describe("a line", () => {
  const path = () => join(directory, "lines.log");
  let proxy: RunningProxy;
  let made = 0;
  beforeAll(async () => {
    const client = { retry: { enabled: true, attempts: 2, initial: 100, budget: 1 } };
    const dead = { url: "http://127.0.0.1:1", breaker: { threshold: 0.01, min_requests: 1, cooldown: 3600 } };
    const config = configOf({
      pool: { upstreams: { demo: upstream.url }, client, forward: { trusted_proxies: ["127.0.0.1"] } },
      pair: { upstreams: { dead, demo: upstream.url }, strategy: "failover" },
      limited: {
        upstreams: { demo: upstream.url },
        forward: { ratelimit: { enabled: true, per_second: 1, burst: 1 } },
      },
    });
    proxy = await startProxy({ config: withAccessLog(config, { path: path() }), workers: 1 });
  });
  afterAll(() => proxy.stop());

  /** Makes a request, and gives its line. */
  async function lineOf(ask: (id: string) => Promise<unknown>): Promise<AccessLine> {
    const id = `request-${made++}`;
    await ask(id).catch(() => {});
    let line: AccessLine | undefined;
    await eventually("its line is there", () => {
      line = readGrowingAccessLog(path()).find((candidate) => candidate.request_id === id);
      return line !== undefined;
    });
    return line!;
  }

  const post =
    (forward: string, path: string, body: string, script = "", headers = {}) =>
    (id: string) =>
      fetch(proxy.url(forward) + path, {
        method: "POST",
        body,
        headers: {
          "content-type": "application/json",
          "x-request-id": id,
          "x-demo-script": script,
          ...headers,
        },
      }).then((response) => response.text());

  const stream = JSON.stringify({
    ...JSON.parse(BODY),
    stream: true,
    stream_options: { include_usage: true },
  });

  test("tells model, stream, tokens, times and bytes", async () => {
    const line = await lineOf(post("pool", "/v1/chat/completions?a=1", stream, "tokens=7; ttft=20"));
    expect(line).toMatchObject({
      method: "POST",
      path: "/v1/chat/completions",
      client: "127.0.0.1",
      model: "demo-1",
      response_model: "demo-1",
      stream: true,
      group: "pool",
      attempts: [{ upstream: "demo", status: 200, error: null }],
      status: 200,
      outcome: "ok",
      error: null,
      output_tokens: 7,
      bytes_in: stream.length,
    });
    expect(line["ttft_ms"]).toBeGreaterThan(0);
    expect(line["duration_ms"]).toBeGreaterThanOrEqual(line["ttft_ms"] as number);
    expect(line["bytes_out"]).toBeGreaterThan(0);
  });

  test("tells each attempt", async () => {
    const line = await lineOf(post("pool", "/v1/chat/completions", BODY, "status=503"));
    expect(line).toMatchObject({
      status: 503,
      outcome: "error",
      error: "upstream_status",
      output_tokens: null,
    });
    const attempt = { upstream: "demo", status: 503, error: "status_503" };
    expect(line["attempts"]).toMatchObject([attempt, attempt, attempt]);
  });

  test("tells of an upstream that was passed by since its breaker refuses", async () => {
    const first = await lineOf(post("pair", "/v1/chat/completions", BODY));
    expect(first["attempts"]).toMatchObject([
      { upstream: "dead", status: null, error: "refused" },
      { upstream: "demo", status: 200 },
    ]);
    const second = await lineOf(post("pair", "/v1/chat/completions", BODY));
    expect(second).toMatchObject({ rejected: ["dead"], attempts: [{ upstream: "demo" }], outcome: "ok" });
  });

  test("tells of the rate limit", async () => {
    await lineOf(post("limited", "/v1/models", ""));
    const line = await lineOf(post("limited", "/v1/models", ""));
    expect(line).toMatchObject({ status: 429, outcome: "error", error: "rate_limited", attempts: [] });
  });

  test("tells of a client that left", async () => {
    const line = await lineOf(async (id) => {
      const client = await ClientConnection.open(proxy.port("pool"));
      const headers = ["x-demo-script", "hang=mid-stream", "x-request-id", id];
      client.send(requestBytes("/v1/chat/completions", { body: stream, headers }));
      await client.until((pending) => pending.includes("data:"));
      client.destroy();
    });
    expect(line).toMatchObject({ status: 200, outcome: "client_gone", attempts: [{ error: "client_gone" }] });
  });

  test("tells of what came in place of a request", async () => {
    const client = await ClientConnection.open(proxy.port("limited"));
    client.send(Buffer.from("GET /v1/models HTTP/1.1\r\n\r\n"));
    expect((await client.response()).status).toBe(400);
    const find = () => readGrowingAccessLog(path()).find(({ error }) => error === "malformed_request");
    await eventually("its line is there", () => find() !== undefined);
    expect(find()).toMatchObject({
      forward: "limited",
      client: "127.0.0.1",
      method: null,
      path: null,
      status: 400,
      outcome: "error",
      attempts: [],
      duration_ms: null,
    });
    expect(find()!["bytes_out"]).toBeGreaterThan(0);
  });

  test("names the client that a trusted proxy names", async () => {
    for (const address of ["192.0.2.7", "2001:db8::7"]) {
      const headers = { "x-forwarded-for": `10.0.0.1, ${address}` };
      const line = await lineOf(post("pool", "/v1/chat/completions", BODY, "", headers));
      expect(line["client"]).toBe(address);
    }
  });

  test("cannot be forged by what a client sends", async () => {
    const forged = 'x"},\n{"request_id":"forged';
    const suffix = '"},{"request_id":"forged\\\xff';
    const line = await lineOf(async (id) => {
      const client = await ClientConnection.open(proxy.port("pool"));
      const body = JSON.stringify({ model: forged, messages: [] });
      client.send(requestBytes("/v1/%0a%22", { body, headers: ["x-request-id", id] }));
      await client.response();
      client.send(requestBytes("/v1/models", { headers: ["x-request-id", id + suffix] }));
      await client.response();
      client.destroy();
    });
    expect(line).toMatchObject({ path: "/v1/%0a%22", model: forged });
    const other = () =>
      readGrowingAccessLog(path()).find(({ request_id }) => request_id === line.request_id + suffix);
    await eventually("the other line is there", () => other() !== undefined);
    expect(readGrowingAccessLog(path()).some(({ request_id }) => request_id === "forged")).toBe(false);
  });
});
