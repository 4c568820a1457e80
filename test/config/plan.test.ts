import { describe, expect, test } from "bun:test";

import type { Plan } from "../../src/config/plan.ts";
import { loadValid, sampleWith, sampleYaml } from "./sample.ts";

function planOf(...changes: [from: string, to: string][]): Plan {
  return loadValid(sampleWith(...changes)).plan;
}

const LIMITS = {
  headBytesMax: 32_768,
  headersMax: 200,
  connectionsMax: 10_000,
  inFlightMax: null,
  idleMs: 75_000,
  writeStallMs: 60_000,
};

test("a configuration becomes a plan with ids for names and milliseconds for seconds", () => {
  expect(planOf()).toEqual({
    admin: { address: "127.0.0.1", port: 9000, connectTimeoutMs: 10_000 },
    accessLog: null,
    bufferedBytesMax: null,
    workers: null,
    forwards: [
      {
        id: 0,
        name: "main",
        address: "127.0.0.1",
        port: 3000,
        group: 0,
        connectTimeoutMs: 5000,
        bodyBytesMax: 67_108_864,
        ratelimit: { perSecond: 10, burst: 20, clients: 65_536 },
        trustedProxies: [],
        forwarded: false,
        limits: LIMITS,
      },
      {
        id: 1,
        name: "side",
        address: "0.0.0.0",
        port: 3001,
        group: 0,
        connectTimeoutMs: 10_000,
        bodyBytesMax: 134_217_728,
        ratelimit: null,
        trustedProxies: [],
        forwarded: false,
        limits: LIMITS,
      },
    ],
    upstreams: [
      {
        id: 0,
        name: "alpha",
        url: "https://alpha.example/v1",
        origin: "https://alpha.example",
        basePath: "/v1",
        baseQuery: "",
        authorization: "Bearer sk-literal",
        headers: [{ op: "insert", key: "X-Extra", value: "extra" }],
        breaker: {
          threshold: 0.5,
          cooldownMs: 30_000,
          minRequests: 5,
          windowMs: 30_000,
          halfOpenRequests: 1,
        },
        inFlightMax: null,
      },
      {
        id: 1,
        name: "beta",
        url: "http://127.0.0.1:8000",
        origin: "http://127.0.0.1:8000",
        basePath: "",
        baseQuery: "",
        authorization: null,
        headers: [],
        breaker: null,
        inFlightMax: null,
      },
    ],
    groups: [
      {
        id: 0,
        name: "pool",
        strategy: "random",
        members: [
          { upstream: 0, weight: 2 },
          { upstream: 1, weight: 1 },
        ],
        client: {
          agent: "Sample/1",
          transport: "auto",
          idleMax: 256,
          keepaliveMs: 60_000,
          stream: true,
          connectTimeoutMs: 7000,
          requestTimeoutMs: 300_000,
          idleTimeoutMs: 60_000,
          retry: { attempts: 3, initialMs: 500, budget: 0.2 },
          proxyUrl: null,
        },
      },
    ],
  });
});

test("names lead to the ids of the places where they are defined", () => {
  const more = `3128
  - name: second
    upstreams: [{ name: beta }, { name: alpha }]
`;
  const plan = planOf(
    ["3128\n", more],
    ["port: 3001\n      upstream_group: pool", "port: 3001\n      upstream_group: second"],
  );
  expect(plan.forwards.map((forward) => forward.group)).toEqual([0, 1]);
  expect(plan.groups[1]?.members.map((member) => member.upstream)).toEqual([1, 0]);
});

test("a plan can be posted to another thread", () => {
  const { plan } = loadValid(sampleYaml);
  expect(structuredClone(plan)).toEqual(plan);
});

describe("the base URL", () => {
  type Parts = {
    url: string;
    origin: string;
    basePath: string;
    baseQuery: string;
    authorization: string | null;
  };
  const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
  const urls: [url: string, parts: Partial<Parts>][] = [
    ["http://h", { url: "http://h", origin: "http://h", basePath: "", baseQuery: "" }],
    ["http://h/", { url: "http://h", basePath: "" }],
    ["https://h/v1/", { url: "https://h/v1", origin: "https://h", basePath: "/v1" }],
    ["https://h/a/b//", { basePath: "/a/b" }],
    ["HTTPS://Host.Example:443/V1", { url: "https://host.example/V1", origin: "https://host.example" }],
    ["http://h:8080/v1", { origin: "http://h:8080" }],
    ["http://[::1]:8080/v1", { origin: "http://[::1]:8080", basePath: "/v1" }],
    ["http://h/a%2Fb", { basePath: "/a%2Fb" }],
    [
      "http://h/v1?api-version=1&key=k",
      { url: "http://h/v1", basePath: "/v1", baseQuery: "api-version=1&key=k" },
    ],
    ["http://h?k", { url: "http://h", basePath: "", baseQuery: "k" }],
    [
      "http://ann:secret@h/v1",
      { url: "http://h/v1", origin: "http://h", authorization: basic("ann:secret") },
    ],
    ["http://key@h", { authorization: basic("key:") }],
    ["http://a%40b:%C3%BC%3A@h", { authorization: basic("a@b:\u00fc:") }],
    ["http://h", { authorization: null }],
  ];
  test.each(urls)("%s", (url, parts) => {
    const plan = planOf(["http://127.0.0.1:8000", JSON.stringify(url)]);
    expect(plan.upstreams[1]).toMatchObject(parts);
  });
});

describe("authentication", () => {
  test("basic joins user name and password in UTF-8", () => {
    const plan = planOf([
      "type: bearer\n      token: sk-literal",
      "type: basic\n      username: ann\n      password: 'p:\u00e9'",
    ]);
    expect(plan.upstreams[0]?.authorization).toBe("Basic YW5uOnA6w6k=");
  });

  test("none leaves the client's own credentials, whatever token stands there", () => {
    expect(planOf(["type: bearer", "type: none"]).upstreams[0]?.authorization).toBeNull();
  });

  test("white space around a token is not sent", () => {
    expect(planOf(["token: sk-literal", "token: ' sk-1 '"]).upstreams[0]?.authorization).toBe("Bearer sk-1");
  });
});

describe("headers", () => {
  test("keep their order and case, and become one character per byte", () => {
    const operations = `headers:
      - { op: replace, key: X-B, value: " a\tb " }
      - { op: remove, key: x-c, value: unused }
      - { op: insert, key: X-B, value: "caf\u00e9 \u20ac" }`;
    const plan = planOf([
      "headers:\n      - op: insert\n        key: X-Extra\n        value: extra",
      operations,
    ]);
    expect(plan.upstreams[0]?.headers).toEqual([
      { op: "replace", key: "X-B", value: "a\tb" },
      { op: "remove", key: "x-c" },
      { op: "insert", key: "X-B", value: "caf\u00c3\u00a9 \u00e2\u0082\u00ac" },
    ]);
  });
});

describe("blocks with a switch", () => {
  test("are null while they are off", () => {
    const plan = planOf(
      ["enabled: true, per_second", "enabled: false, per_second"],
      ["enabled: true", "enabled: false"],
    );
    expect(plan.forwards[0]?.ratelimit).toBeNull();
    expect(plan.groups[0]?.client.retry).toBeNull();
  });

  test("an outbound proxy that is on has its URL, credentials included", () => {
    const plan = planOf(
      ["enabled: false", "enabled: true"],
      ["http://proxy.example:3128", "http://u:p%40@proxy.example:3128"],
    );
    expect(plan.groups[0]?.client.proxyUrl).toBe("http://u:p%40@proxy.example:3128/");
  });

  test("a breaker that is empty has its defaults", () => {
    const plan = planOf(["url: http://127.0.0.1:8000", "url: http://127.0.0.1:8000\n    breaker: {}"]);
    expect(plan.upstreams[1]?.breaker).toEqual({
      threshold: 0.5,
      cooldownMs: 30_000,
      minRequests: 5,
      windowMs: 30_000,
      halfOpenRequests: 1,
    });
  });
});

test("limits, bounds and trusted networks are in the units that the threads use", () => {
  const plan = planOf(
    [
      "      max_body_size: 64MB",
      `      max_body_size: 64MB
      trusted_proxies: [10.0.0.0/8, "::1"]
      forwarded: true
      limits: { header_bytes: 8KB, headers: 50, connections: 9, in_flight: 3, idle: 7, write_stall: 8 }`,
    ],
    ["burst: 20 }", "burst: 20, clients: 2048 }"],
    ["  - name: beta", "  - max_in_flight: 5\n    name: beta"],
    ["  admin:", "  max_buffered_bytes: 20MB\n  admin:"],
  );
  const [forward] = plan.forwards;
  expect(forward?.trustedProxies).toEqual([
    { w0: 0, w1: 0, w2: 0xffff, w3: 0x0a00_0000, bits: 104 },
    { w0: 0, w1: 0, w2: 0, w3: 1, bits: 128 },
  ]);
  expect(forward?.forwarded).toBe(true);
  expect(forward?.limits).toEqual({
    headBytesMax: 8192,
    headersMax: 50,
    connectionsMax: 9,
    inFlightMax: 3,
    idleMs: 7000,
    writeStallMs: 8000,
  });
  expect(forward?.ratelimit).toEqual({ perSecond: 10, burst: 20, clients: 2048 });
  expect(plan.upstreams.map((upstream) => upstream.inFlightMax)).toEqual([null, 5]);
  expect(plan.bufferedBytesMax).toBe(20_971_520);
});

test("an access log that is on goes to standard output or to a file", () => {
  const on = (keys: string) =>
    planOf(["  admin:", `  access_log: { enabled: true${keys} }\n  admin:`]).accessLog;
  expect(on("")).toEqual({ path: null, format: "json", query: false });
  expect(on(", path: /var/log/llmproxy/access.log, format: text, query: true")).toEqual({
    path: "/var/log/llmproxy/access.log",
    format: "text",
    query: true,
  });
});
