import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, type Keys } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { type RawResponse, valueOf } from "../support/response-reader.ts";
import { eventually } from "../support/wait.ts";

setDefaultTimeout(60_000);

const MB = 1024 * 1024;
const body = JSON.stringify({ model: "demo-1", messages: [{ role: "user", content: "Hello" }] });
const HANG = ["x-demo-script", "hang=before-head"];

let upstream: DemoUpstream;
let second: DemoUpstream;
let proxy: RunningProxy;

beforeAll(async () => {
  upstream = startUpstream({ name: "demo" });
  second = startUpstream({ name: "second" });
  const group = (limits: Keys, further: Keys = {}) => ({
    upstreams: { demo: upstream.url },
    forward: { limits, ...further },
  });
  const bounded = { url: upstream.url, max_in_flight: 2 };
  const config = configOf({
    heads: group({ header_bytes: "1KB", headers: 10 }),
    bodies: group({}, { max_body_size: "1KB" }),
    connections: group({ connections: 5 }),
    crowded: group({ connections: 40 }),
    flight: group({ in_flight: 3 }),
    idle: group({ idle: 1 }),
    stall: group({ write_stall: 1 }),
    buffered: group({}, { max_body_size: "2GB" }),
    spill: { upstreams: { bounded, second: second.url }, strategy: "failover" },
    alone: { upstreams: { bounded2: bounded } },
  });
  proxy = await startProxy({
    workers: 2,
    config: { ...config, http_server: { ...(config["http_server"] as Keys), max_buffered_bytes: "16MB" } },
  });
});
afterAll(async () => {
  await proxy.stop();
  upstream.stop();
  second.stop();
});

/** An answer of the proxy itself, in the shape of OpenAI's API. */
function expectRefusal(response: RawResponse, status: number, code: string): void {
  expect(response.status).toBe(status);
  expect(JSON.parse(response.body.toString()).error.code).toBe(code);
  expect(valueOf(response.headers, "x-request-id")).not.toBeNull();
  expect(valueOf(response.headers, "retry-after")).toBe(status === 503 ? "1" : null);
}

async function errors(forward: string, code: string, status: number): Promise<number> {
  const series = `llmproxy_http_request_errors_total{forward="${forward}",error="${code}",status="${status}"}`;
  return (await proxy.metrics()).get(series) ?? 0;
}

describe("a request head", () => {
  test("may have so many bytes", async () => {
    const fitting = requestBytes("/v1/models", { headers: ["X-Fill", ""] });
    const fill = (bytes: number) =>
      requestBytes("/v1/models", { headers: ["X-Fill", "x".repeat(bytes - fitting.length)] });
    using client = await ClientConnection.open(proxy.port("heads"));
    // The empty line at its end is not counted.
    expect((await client.send(fill(1024 + 4)).response()).status).toBe(200);
    expectRefusal(await client.send(fill(1024 + 5)).response(), 431, "headers_too_large");
    expect(await client.untilEnd()).toBe("fin");
  });

  test("is refused at the first byte too many, though its end has not come", async () => {
    using client = await ClientConnection.open(proxy.port("heads"));
    client.send(`GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Fill: ${"x".repeat(2000)}`);
    expectRefusal(await client.response(), 431, "headers_too_large");
  });

  test("may have so many fields", async () => {
    const fields = (count: number) => Array.from({ length: count }, (_, i) => [`X-${i}`, "1"]).flat();
    const port = proxy.port("heads");
    expect((await ask(port, "/v1/models", { headers: fields(9) })).status).toBe(200);
    expectRefusal(await ask(port, "/v1/models", { headers: fields(10) }), 431, "headers_too_large");
    expect(await errors("heads", "headers_too_large", 431)).toBeGreaterThan(0);
  });
});

test("a request body may have so many bytes, announced or not", async () => {
  const port = proxy.port("bodies");
  expect((await ask(port, "/v1/models", { method: "POST", body: "x".repeat(1024) })).status).not.toBe(413);
  expectRefusal(await ask(port, "/v1/models", { body: "x".repeat(1025) }), 413, "request_too_large");
  using client = await ClientConnection.open(port);
  client.send("POST /v1/models HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.send(`401\r\n${"x".repeat(1025)}\r\n`);
  expectRefusal(await client.response(), 413, "request_too_large");
});

/** Waits until none of an earlier test is counted any more. */
async function untilAllLeft(forward: string): Promise<void> {
  const series = `llmproxy_http_connections{forward="${forward}"}`;
  await eventually("all have left", async () => (await proxy.metrics()).get(series) === 0);
}

describe("connections", () => {
  test("beyond the limit get a 503 and are closed; when others have gone there is room again", async () => {
    const port = proxy.port("connections");
    await untilAllLeft("connections");
    const kept = await hang("connections", 5, upstream);
    const refused = await ClientConnection.open(port);
    expectRefusal(await refused.response(), 503, "too_many_connections");
    expect(await refused.untilEnd()).toBe("fin");
    refused.destroy();
    // The others notice nothing.
    expect(kept.every(({ ended }) => ended === null)).toBe(true);
    expect((await ask(proxy.port("heads"), "/v1/models")).status).toBe(200);
    kept.pop()!.destroy();
    await eventually("there is room again", async () => (await ask(port, "/v1/models")).status === 200);
    for (const client of kept) client.destroy();
    expect(await errors("connections", "too_many_connections", 503)).toBeGreaterThan(0);
  });

  test("take the place of those that only wait", async () => {
    // Whichever worker has them, and whichever the newcomers come to.
    const port = proxy.port("crowded");
    for (let round = 0; round < 5; round++) {
      const waiting = await Promise.all(Array.from({ length: 100 }, () => ClientConnection.open(port)));
      for (let i = 0; i < 10; i++) expect((await ask(port, "/v1/models")).status).toBe(200);
      await eventually("most are closed", () => waiting.filter(({ ended }) => ended === null).length <= 40);
      expect(waiting.every(({ pending }) => pending === "")).toBe(true);
      for (const client of waiting) client.destroy();
      await untilAllLeft("crowded");
    }
  });

  test("take it one by one too, though it is another worker that has those that wait", async () => {
    await untilAllLeft("connections");
    const port = proxy.port("connections");
    const clients: ClientConnection[] = [];
    for (let i = 0; i < 30; i++) {
      const client = await ClientConnection.open(port);
      clients.push(client);
      expect((await client.send(requestBytes("/v1/models")).response()).status).toBe(200);
    }
    await eventually("there are no more than may be", () => {
      return clients.filter(({ ended }) => ended === null).length === 5;
    });
    for (const client of clients) client.destroy();
  });

  test("far beyond the limit are closed without a word", async () => {
    const port = proxy.port("connections");
    await untilAllLeft("connections");
    const kept = await hang("connections", 5, upstream);
    const opened = await Promise.allSettled(Array.from({ length: 400 }, () => ClientConnection.open(port)));
    const clients = opened.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
    // Some may be closed so soon that they never seemed open.
    await eventually("they are closed", () => clients.every(({ ended }) => ended !== null));
    const told = clients.filter((client) => client.pending.startsWith("HTTP/1.1 503 ")).length;
    expect(told).toBeGreaterThanOrEqual(200);
    expect(told).toBeLessThan(400);
    for (const client of [...clients, ...kept]) client.destroy();
    await eventually("there is room again", async () => (await ask(port, "/v1/models")).status === 200);
  });

  test("at rest are closed after a while, and not before", async () => {
    using client = await ClientConnection.open(proxy.port("idle"));
    expect((await client.send(requestBytes("/v1/models")).response()).status).toBe(200);
    const restMs = performance.now();
    expect(await client.untilEnd()).toBe("fin");
    expect(performance.now() - restMs).toBeGreaterThan(900);
  });
});

/** Requests of which the upstream has heard, and that it does not answer. */
async function hang(forward: string, count: number, at: DemoUpstream): Promise<ClientConnection[]> {
  await eventually("nothing is left of earlier requests", () => at.counts.inFlight === 0);
  const clients = await Promise.all(
    Array.from({ length: count }, () => ClientConnection.open(proxy.port(forward))),
  );
  for (const client of clients) client.send(requestBytes("/v1/models", { headers: HANG }));
  await eventually("the upstream has them", () => at.counts.inFlight === count);
  return clients;
}

describe("requests in progress", () => {
  test("of a forward are limited; when one ends there is room again", async () => {
    const clients = await hang("flight", 3, upstream);
    using client = await ClientConnection.open(proxy.port("flight"));
    const again = () => client.send(requestBytes("/v1/chat/completions", { body })).response();
    expectRefusal(await again(), 503, "too_many_in_flight");
    expectRefusal(await again(), 503, "too_many_in_flight");
    expect((await ask(proxy.port("heads"), "/v1/models")).status).toBe(200);
    clients.pop()!.destroy();
    await eventually("there is room again", async () => (await again()).status === 200);
    for (const other of clients) other.destroy();
    await eventually("none is left", () => upstream.counts.inFlight === 0);
    // Not one of them was forgotten: as many as before find a place.
    for (const other of await hang("flight", 3, upstream)) other.destroy();
  });

  test("do not count while their bodies are still being sent", async () => {
    const inFlight = 'llmproxy_http_requests_in_flight{forward="flight"}';
    await eventually(
      "those of the test before have gone",
      async () => (await proxy.metrics()).get(inFlight) === 0,
    );
    const senders = await Promise.all(
      Array.from({ length: 6 }, () => ClientConnection.open(proxy.port("flight"))),
    );
    const head =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100\r\n";
    for (const sender of senders) sender.send(`${head}\r\n`);
    for (const sender of senders) await sender.until((pending) => pending.startsWith("HTTP/1.1 100 "));
    expect((await ask(proxy.port("flight"), "/v1/models")).status).toBe(200);
    expect(senders.filter(({ ended }) => ended !== null)).toEqual([]);
    for (const sender of senders) sender.destroy();
  });

  test("beyond those of a full upstream go to the next one", async () => {
    const clients = await hang("spill", 2, upstream);
    const before = second.counts.accepted;
    for (let i = 0; i < 5; i++) expect((await ask(proxy.port("spill"), "/v1/models")).status).toBe(200);
    expect(second.counts.accepted - before).toBe(5);
    for (const client of clients) client.destroy();
    await eventually("the first one is used again", async () => {
      const seen = upstream.counts.accepted;
      await ask(proxy.port("spill"), "/v1/models");
      return upstream.counts.accepted > seen;
    });
  });

  test("that find every upstream full get a 503", async () => {
    const clients = await hang("alone", 2, upstream);
    expectRefusal(await ask(proxy.port("alone"), "/v1/models"), 503, "upstream_unavailable");
    for (const client of clients) client.destroy();
    await eventually(
      "it is used again",
      async () => (await ask(proxy.port("alone"), "/v1/models")).status === 200,
    );
  });
});

test.skipIf(Bun.which("prlimit") === null)(
  "those who hold connections open keep nobody out, as there are files for those who have requests",
  async () => {
    await using few = await startProxy({
      workers: 2,
      config: configOf({
        main: { upstreams: { demo: upstream.url } },
        side: { upstreams: { demo2: upstream.url } },
      }),
      wrapper: ["prlimit", "--nofile=320:320"],
    });
    const holders = await Promise.allSettled(
      Array.from({ length: 400 }, () => ClientConnection.open(few.port("side"))),
    );
    // More than there are files for, of which each takes two.
    for (let i = 0; i < 20; i++) expect((await ask(few.port("main"), "/v1/models")).status).toBe(200);
    await eventually("nothing is left of earlier requests", () => upstream.counts.inFlight === 0);
    const clients: ClientConnection[] = [];
    while (clients.length < 40) {
      const opened = Array.from({ length: 8 }, () => ClientConnection.open(few.port("main")));
      clients.push(...(await Promise.all(opened)));
      for (const client of clients.slice(-8)) client.send(requestBytes("/v1/models", { headers: HANG }));
      await eventually("they reach the upstream", () => upstream.counts.inFlight === clients.length);
    }
    expect(clients.every(({ pending }) => pending === "")).toBe(true);
    const open = holders.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
    expect(open.filter(({ ended }) => ended === null).length).toBeLessThan(320 - 128);
    for (const client of [...open, ...clients]) client.destroy();
  },
);

test("request bodies that do not fit into memory together get a 503, and leave nothing behind", async () => {
  const port = proxy.port("buffered");
  const part = Buffer.alloc(4 * MB, "x");
  for (let round = 0; round < 3; round++) {
    const senders = await Promise.all(Array.from({ length: 8 }, () => ClientConnection.open(port)));
    for (const sender of senders) {
      sender.send("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 6000000\r\n\r\n");
      sender.send(part);
    }
    // Of 32 MB only half fits: some are turned away, the others wait for the rest of their bodies.
    await eventually("some are turned away", () => senders.some(({ pending }) => pending !== ""));
    const refused = senders.find(({ pending }) => pending !== "")!;
    expectRefusal(await refused.response(), 503, "no_room_for_body");
    expect(senders.some(({ pending, ended }) => pending === "" && ended === null)).toBe(true);
    for (const sender of senders) sender.destroy();
    const whole = Buffer.alloc(12 * MB, "x");
    await eventually("a large body fits again", async () => {
      const { status } = await ask(port, "/v1/models", { body: whole });
      return status !== 503;
    });
  }
  // One that could never fit is too large, whatever max_body_size says.
  expectRefusal(await ask(port, "/v1/models", { body: Buffer.alloc(16 * MB + 1) }), 413, "request_too_large");
});

test("a client that takes nothing of its answer is let go, with the upstream's request", async () => {
  const script = ["x-demo-script", `body-bytes=${200 * MB}`];
  const clients = await Promise.all(
    Array.from({ length: 5 }, () => ClientConnection.open(proxy.port("stall"))),
  );
  for (const client of clients) {
    client.pause();
    client.send(requestBytes("/v1/models", { headers: script }));
  }
  await eventually("the answers have begun", () => upstream.counts.inFlight === 5);
  await eventually("they are cut", () => upstream.counts.inFlight === 0, 20_000);
  for (const client of clients) {
    client.resume();
    expect((await client.response()).complete).toBe(false);
    client.destroy();
  }
});
