import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, type Keys } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { type RawResponse, valueOf } from "../support/response-reader.ts";

// Bounds by count, not by time: the machine may be busy.
setDefaultTimeout(60_000);

const CONNECTIONS = 50;
const body = JSON.stringify({ model: "demo-1", messages: [{ role: "user", content: "Hello" }] });

let upstream: DemoUpstream;
let proxy: RunningProxy;

function limit(perSecond: number, burst: number, further: Keys = {}): Keys {
  return { ratelimit: { enabled: true, per_second: perSecond, burst }, ...further };
}

beforeAll(async () => {
  upstream = startUpstream({ name: "demo" });
  const group = (forward: Keys) => ({ upstreams: { demo: upstream.url }, forward });
  proxy = await startProxy({
    workers: 4,
    config: configOf({
      bursty: group(limit(1, 200)),
      steady: group(limit(300, 300)),
      small: group(limit(1, 3)),
      other: group(limit(1, 3)),
      behind: group(limit(1, 2, { trusted_proxies: ["127.0.0.0/8", "2001:db8::/64"] })),
      dual: group(limit(1, 2, { address: "::", trusted_proxies: ["127.0.0.1"] })),
      full: group({
        ratelimit: { enabled: true, per_second: 1, burst: 1, clients: 1024 },
        trusted_proxies: ["127.0.0.1"],
      }),
      open: group({}),
    }),
  });
});
afterAll(async () => {
  await proxy.stop();
  upstream.stop();
});

interface Sent {
  readonly status: number;
  readonly sentMs: number;
  readonly answeredMs: number;
}

/** Requests one after the other on each of 50 connections, until `enough`. */
async function flood(port: number, enough: (sent: readonly Sent[]) => boolean): Promise<Sent[]> {
  const all: Sent[] = [];
  const request = requestBytes("/v1/chat/completions", { body });
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      using client = await ClientConnection.open(port);
      while (!enough(all)) {
        const sentMs = performance.now();
        const { status } = await client.send(request).response();
        all.push({ status, sentMs, answeredMs: performance.now() });
      }
    }),
  );
  return all;
}

async function refusals(forward: string): Promise<number> {
  return (await proxy.metrics()).get(`llmproxy_ratelimit_total{forward="${forward}"}`) ?? 0;
}

describe("four workers and fifty connections together", () => {
  test("give one client its burst and no more, and the upstream sees nothing of the rest", async () => {
    const before = upstream.counts.accepted;
    const sent = await flood(proxy.port("bursty"), (all) => all.length >= 800);
    const admitted = sent.filter(({ status }) => status === 200).length;
    const lastedMs =
      Math.max(...sent.map((one) => one.answeredMs)) - Math.min(...sent.map((one) => one.sentMs));
    expect(new Set(sent.map(({ status }) => status))).toEqual(new Set([200, 429]));
    expect(admitted).toBeGreaterThanOrEqual(200);
    expect(admitted).toBeLessThanOrEqual(200 + lastedMs / 1000);
    expect(upstream.counts.accepted - before).toBe(admitted);
    expect(await refusals("bursty")).toBe(sent.length - admitted);
  });

  test("give one client the rate that it is due, to the request", async () => {
    const startMs = performance.now();
    const sent = await flood(proxy.port("steady"), () => performance.now() > startMs + 1_500);
    const admitted = sent.filter(({ status }) => status === 200).length;
    const lastMs = Math.max(...sent.map((one) => one.answeredMs));
    expect(admitted).toBeLessThanOrEqual(300 + ((lastMs - startMs) * 300) / 1000);
    // When a request was refused, all that was due until then had been given out.
    const firstMs = Math.min(...sent.map((one) => one.answeredMs));
    const refusedMs = Math.max(...sent.filter(({ status }) => status === 429).map((one) => one.sentMs));
    expect(admitted).toBeGreaterThanOrEqual(Math.floor(300 + ((refusedMs - firstMs) * 300) / 1000) - 1);
  });
});

/** Asks as a client that a trusted proxy names. */
function askAs(forward: string, address: string): Promise<RawResponse> {
  return ask(proxy.port(forward), "/v1/models", { headers: ["X-Forwarded-For", address] });
}

async function statusesAs(forward: string, ...addresses: readonly string[]): Promise<number[]> {
  const statuses: number[] = [];
  for (const address of addresses) statuses.push((await askAs(forward, address)).status);
  return statuses;
}

describe("a refusal", () => {
  test("says when to come again, in the shape that the client's SDK reads, on a connection that stays", async () => {
    using client = await ClientConnection.open(proxy.port("small"));
    const post = (path: string) => client.send(requestBytes(path, { body })).response();
    for (let i = 0; i < 3; i++) expect((await post("/v1/chat/completions")).status).toBe(200);
    const refused = await post("/v1/chat/completions");
    expect(refused.status).toBe(429);
    expect(valueOf(refused.headers, "retry-after")).toBe("1");
    expect(valueOf(refused.headers, "ratelimit-limit")).toBe("3");
    expect(valueOf(refused.headers, "ratelimit-remaining")).toBe("0");
    expect(valueOf(refused.headers, "ratelimit-reset")).toBe("1");
    expect(valueOf(refused.headers, "connection")).toBeNull();
    expect(valueOf(refused.headers, "x-request-id")).not.toBeNull();
    expect(JSON.parse(refused.body.toString())).toEqual({
      error: {
        message: "Too many requests: one client may send 1 per second, and 3 at once.",
        type: "rate_limit_error",
        code: "rate_limited",
        param: null,
      },
    });
    const anthropic = await post("/v1/messages");
    expect(anthropic.status).toBe(429);
    expect(JSON.parse(anthropic.body.toString())).toMatchObject({
      type: "error",
      error: { type: "rate_limit_error" },
    });
    expect(client.ended).toBeNull();
  });

  test("is of its forward alone, and answers that are let in say nothing of limits", async () => {
    for (const forward of ["other", "open"]) {
      const { status, headers } = await ask(proxy.port(forward), "/v1/models");
      expect(status).toBe(200);
      for (const name of ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after"])
        expect(valueOf(headers, name)).toBeNull();
    }
  });

  test("comes before the body of the request is read", async () => {
    using client = await ClientConnection.open(proxy.port("other"));
    await ask(proxy.port("other"), "/v1/models");
    await ask(proxy.port("other"), "/v1/models");
    client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    const refused = await client.response();
    expect(refused.status).toBe(429);
    expect(valueOf(refused.headers, "connection")).toBe("close");
  });
});

describe("behind a trusted proxy", () => {
  test("clients are told apart by what it says of them", async () => {
    expect(await statusesAs("behind", "1.1.1.1", "1.1.1.1", "1.1.1.1")).toEqual([200, 200, 429]);
    expect(await statusesAs("behind", "6.6.6.6, 1.1.1.1", "2.2.2.2", "1.1.1.1, 3.3.3.3, 127.0.0.9")).toEqual([
      429, 200, 200,
    ]);
    const forwarded = ["Forwarded", 'for="[2001:db8:0:1::7]:4711";proto=https'];
    const ask2 = () => ask(proxy.port("behind"), "/v1/models", { headers: forwarded });
    expect([(await ask2()).status, (await ask2()).status, (await ask2()).status]).toEqual([200, 200, 429]);
  });

  test("an IPv6 network of 64 bits is one client, and an IPv4 address is one however it is written", async () => {
    expect(await statusesAs("behind", "2001:db9::1", "2001:db9::ffff:1:2", "2001:db9:0:0:9::")).toEqual([
      200, 200, 429,
    ]);
    expect(await statusesAs("behind", "2001:db9:0:1::1")).toEqual([200]);
    expect(await statusesAs("behind", "4.4.4.4", "::ffff:4.4.4.4", "::FFFF:404:404")).toEqual([
      200, 200, 429,
    ]);
  });

  test("what nobody can read counts for the proxy itself", async () => {
    expect(await statusesAs("behind", "garbage", "1.2.3", "unknown")).toEqual([200, 200, 429]);
    expect(await statusesAs("behind", "5.5.5.5")).toEqual([200]);
  });

  test("a peer on an IPv6 socket is known by its IPv4 address", async () => {
    expect(await statusesAs("dual", "1.1.1.1", "1.1.1.1", "1.1.1.1", "2.2.2.2")).toEqual([
      200, 200, 429, 200,
    ]);
  });

  test("a peer that is not trusted is the client, whatever it says", async () => {
    const statuses = await statusesAs("small", "9.9.9.1", "9.9.9.2", "9.9.9.3", "9.9.9.4", "9.9.9.5");
    expect(statuses).toContain(429);
  });
});

/** Asks as so many clients of which nobody was heard before. Without an upstream: a GET with a body is refused there. */
async function comeAnew(client: ClientConnection, first: number, count: number): Promise<void> {
  for (let i = first; i < first + count; i++) {
    const address = `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
    const headers = ["X-Forwarded-For", address];
    client.send(requestBytes("/v1/models", { method: "GET", headers, body: "x" }));
  }
  for (let i = 0; i < count; i++) expect((await client.response()).status).toBe(400);
}

test("when the table is full, new clients are let through and counted, and known ones are limited", async () => {
  using client = await ClientConnection.open(proxy.port("full"));
  const untracked = async () =>
    (await proxy.metrics()).get('llmproxy_ratelimit_untracked_total{forward="full"}') ?? 0;
  // An entry counts for a second, in which enough clients must come to overflow its 2,048 places.
  for (let wave = 0; (await untracked()) === 0; wave++) {
    expect(wave).toBeLessThan(20);
    for (let part = 0; part < 40; part++) await comeAnew(client, wave * 4_000 + part * 100, 100);
  }
  expect(await statusesAs("full", "192.0.2.1", "192.0.2.1")).toContain(200);
});
