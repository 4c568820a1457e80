import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, type Keys, TRANSPORTS } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { startRawUpstream } from "../support/raw-upstream.ts";
import { valueOf, valuesOf } from "../support/response-reader.ts";

describe.each(TRANSPORTS)("over the transport %s", (transport) => {
  /** Head of the upstream's next answers, less the lines that frame the body. */
  let answerFields: readonly string[] = [];
  let answerStatus = 200;
  const upstream = startRawUpstream((_, connection) => {
    const lines = [`HTTP/1.1 ${answerStatus} X`, ...answerFields, "Content-Length: 2", "", "ok"];
    connection.send(lines.join("\r\n"));
  });

  /** A group for each set of keys that an upstream may have. */
  const upstreams = {
    plain: {},
    bearer: { auth: { type: "bearer", token: "sk-proxy" } },
    basic: { auth: { type: "basic", username: "gräfin", password: "p:w" } },
    operations: {
      headers: [
        { op: "insert", key: "X-Inserted", value: "by proxy" },
        { op: "replace", key: "x-replaced", value: "by proxy" },
        { op: "remove", key: "X-REMOVED" },
        { op: "remove", key: "X-Anew" },
        { op: "insert", key: "X-Anew", value: "by proxy" },
        { op: "insert", key: "X-Gone", value: "by proxy" },
        { op: "remove", key: "x-gone" },
        { op: "replace", key: "User-Agent", value: "operated" },
      ],
    },
    host: { headers: [{ op: "replace", key: "Host", value: "model.internal" }] },
    authLast: {
      headers: [{ op: "replace", key: "Authorization", value: "by operation" }],
      auth: { type: "bearer", token: "sk-proxy" },
    },
    authOperation: { headers: [{ op: "replace", key: "Authorization", value: "by operation" }] },
  } satisfies Record<string, Keys>;

  let proxy: RunningProxy;
  beforeAll(async () => {
    const groups = Object.entries(upstreams).map(([name, keys]) => [
      name,
      { upstreams: { [name]: { url: upstream.url, ...keys } } },
    ]);
    const agent = { upstreams: { plain: upstream.url }, client: { agent: "Gateway/2 (x)" } };
    proxy = await startProxy({ config: configOf({ ...Object.fromEntries(groups), agent }, transport) });
  });
  afterAll(async () => {
    await proxy.stop();
    upstream.stop();
  });

  /** Sends header fields through a forward and gives those that the upstream got. */
  async function sent(forward: string, headers: readonly string[]): Promise<string[]> {
    const response = await ask(proxy.port(forward), "/v1/models", { headers });
    expect(response.status).toBe(200);
    return upstream.requests.at(-1)!.headers;
  }

  /** Forward, what the client sends, and the values that the upstream must get of some fields. */
  const toUpstream: readonly (readonly [string, string, string[], Readonly<Record<string, string[]>>])[] = [
    [
      "fields of the client pass",
      "plain",
      ["X-A", "1", "anthropic-beta", "b"],
      { "x-a": ["1"], "anthropic-beta": ["b"] },
    ],
    ["Keep-Alive stays here", "plain", ["Keep-Alive", "timeout=5"], { "keep-alive": [] }],
    [
      "Proxy-Authorization stays here",
      "plain",
      ["Proxy-Authorization", "Basic x"],
      { "proxy-authorization": [] },
    ],
    ["Proxy-Connection stays here", "plain", ["Proxy-Connection", "keep-alive"], { "proxy-connection": [] }],
    ["TE stays here", "plain", ["TE", "trailers"], { te: [] }],
    ["Trailer stays here", "plain", ["Trailer", "X-T"], { trailer: [] }],
    ["Upgrade stays here", "plain", ["Connection", "Upgrade", "Upgrade", "websocket"], { upgrade: [] }],
    [
      "what Connection names stays here",
      "plain",
      ["Connection", "close, X-Mine ,x-other", "X-Mine", "1", "X-OTHER", "2", "X-Kept", "3"],
      { "x-mine": [], "x-other": [], "x-kept": ["3"] },
    ],
    [
      "the client's Host does not",
      "plain",
      ["Host", "public.test"],
      { host: [`127.0.0.1:${upstream.port}`] },
    ],
    ["Host may be replaced by an operation", "host", [], { host: ["model.internal"] }],
    [
      "the client's User-Agent is ours",
      "plain",
      ["User-Agent", "curl/8"],
      { "user-agent": ["LLMProxy/1.0"] },
    ],
    ["User-Agent is as configured", "agent", [], { "user-agent": ["Gateway/2 (x)"] }],
    [
      "the client's credentials pass",
      "plain",
      ["Authorization", "Bearer mine"],
      { authorization: ["Bearer mine"] },
    ],
    ["the client's api key passes", "plain", ["x-api-key", "mine"], { "x-api-key": ["mine"] }],
    ["no credentials stay none", "plain", [], { authorization: [] }],
    ["bearer sets the token", "bearer", [], { authorization: ["Bearer sk-proxy"] }],
    [
      "bearer replaces the client's",
      "bearer",
      ["authorization", "Bearer mine"],
      { authorization: ["Bearer sk-proxy"] },
    ],
    [
      "basic replaces the client's, as UTF-8",
      "basic",
      ["Authorization", "Bearer mine"],
      { authorization: [`Basic ${Buffer.from("gräfin:p:w").toString("base64")}`] },
    ],
    ["authentication comes after the operations", "authLast", [], { authorization: ["Bearer sk-proxy"] }],
    [
      "an operation may set Authorization",
      "authOperation",
      ["Authorization", "Bearer mine"],
      { authorization: ["by operation"] },
    ],
    ["insert adds what is absent", "operations", [], { "x-inserted": ["by proxy"] }],
    ["insert leaves what is there", "operations", ["x-inserted", "mine"], { "x-inserted": ["mine"] }],
    ["replace adds what is absent", "operations", [], { "x-replaced": ["by proxy"] }],
    [
      "replace takes the place of all of that name",
      "operations",
      ["X-Replaced", "1", "x-rePLaced", "2"],
      { "x-replaced": ["by proxy"] },
    ],
    [
      "remove drops all of that name",
      "operations",
      ["x-removed", "1", "X-Removed", "2"],
      { "x-removed": [] },
    ],
    ["an insert after a remove counts", "operations", ["X-Anew", "mine"], { "x-anew": ["by proxy"] }],
    ["a remove after an insert counts", "operations", [], { "x-gone": [] }],
    ["an operation may set User-Agent", "operations", [], { "user-agent": ["operated"] }],
    ["Accept-Encoding is not added", "plain", [], { "accept-encoding": [] }],
    ["Accept-Encoding passes", "plain", ["Accept-Encoding", "zstd"], { "accept-encoding": ["zstd"] }],
    [
      "bytes beyond ASCII pass",
      "plain",
      ["X-Name", "gr\xc3\xbc\xc3\x9fe"],
      { "x-name": ["gr\xc3\xbc\xc3\x9fe"] },
    ],
    ["an empty value passes", "plain", ["X-Empty", ""], { "x-empty": [""] }],
  ];

  test.each([...toUpstream])("to the upstream: %s", async (_, forward, headers, expected) => {
    const seen = await sent(forward, headers);
    for (const [name, values] of Object.entries(expected))
      expect([name, valuesOf(seen, name)]).toEqual([name, values]);
  });

  test("to the upstream: nothing is added but what is said here", async () => {
    const seen = await sent("plain", []);
    const names = seen.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    const ours = ["host", "user-agent", "x-request-id"];
    // The client of the runtime adds two of its own, `Accept: */*` and `Connection: keep-alive`.
    const added = transport === "fetch" ? ["accept", "connection"] : [];
    expect(names.toSorted()).toEqual([...added, ...ours]);
  });

  /** Fields of the upstream's answer, and the values that the client must get of some. */
  const toClient: readonly (readonly [string, string[], Readonly<Record<string, string[]>>])[] = [
    [
      "fields of the upstream pass",
      ["X-Ratelimit-Reset: 6m0s", "Server: x"],
      { "x-ratelimit-reset": ["6m0s"], server: ["x"] },
    ],
    ["Keep-Alive stays there", ["Keep-Alive: timeout=5"], { "keep-alive": [] }],
    ["Proxy-Authenticate stays there", ["Proxy-Authenticate: Basic"], { "proxy-authenticate": [] }],
    ["Trailer stays there", ["Trailer: X-T"], { trailer: [] }],
    ["Upgrade stays there", ["Upgrade: h2c"], { upgrade: [] }],
    ["what Connection names stays there", ["Connection: X-Mine, keep-alive", "X-Mine: 1"], { "x-mine": [] }],
    [
      "a redirect is the client's to follow",
      ["Location: https://elsewhere.test/"],
      { location: ["https://elsewhere.test/"] },
    ],
    [
      "an event stream is not to be buffered by a front nginx",
      ["Content-Type: text/event-stream; charset=utf-8"],
      { "x-accel-buffering": ["no"] },
    ],
    [
      "what the upstream says of buffering stands",
      ["Content-Type: text/event-stream", "X-Accel-Buffering: yes"],
      { "x-accel-buffering": ["yes"] },
    ],
    ["other answers may be buffered", ["Content-Type: application/json"], { "x-accel-buffering": [] }],
    ["bytes beyond ASCII pass", ["X-Name: gr\xc3\xbc\xc3\x9fe"], { "x-name": ["gr\xc3\xbc\xc3\x9fe"] }],
    ["an id of the upstream's stands", ["X-Request-Id: req_up"], { "x-request-id": ["req_up"] }],
  ];

  describe("to the client", () => {
    test.each([...toClient])("%s", async (_, fields, expected) => {
      answerFields = fields;
      const response = await ask(proxy.port("plain"), "/v1/models");
      answerFields = [];
      for (const [name, values] of Object.entries(expected))
        expect([name, valuesOf(response.headers, name)]).toEqual([name, values]);
    });

    test.each([
      [200],
      [201],
      [299],
      [302],
      [307],
      [400],
      [404],
      [418],
      [429],
      [451],
      [500],
      [503],
      [529],
      [599],
    ])("a status %d is passed on, with its body", async (status) => {
      answerStatus = status;
      const response = await ask(proxy.port("plain"), "/v1/models");
      answerStatus = 200;
      expect(response.status).toBe(status);
      expect(response.body.toString()).toBe("ok");
    });
  });

  describe("X-Request-Id", () => {
    test("is made where the client sends none: the same for upstream and client, another each time", async () => {
      const ids = new Set<string>();
      for (let round = 0; round < 3; round++) {
        const response = await ask(proxy.port("plain"), "/v1/models");
        const id = valueOf(response.headers, "x-request-id");
        expect(id).toBe(valueOf(upstream.requests.at(-1)!.headers, "x-request-id"));
        ids.add(id!);
      }
      expect(ids.size).toBe(3);
    });

    test("is passed on and returned where the client sends one", async () => {
      const response = await ask(proxy.port("plain"), "/v1/models", { headers: ["x-request-ID", "trace/1"] });
      expect(valueOf(upstream.requests.at(-1)!.headers, "x-request-id")).toBe("trace/1");
      expect(valueOf(response.headers, "x-request-id")).toBe("trace/1");
    });
  });

  test("a client that asks to close is told so, and the upstream's connection does not follow", async () => {
    await ask(proxy.port("plain"), "/v1/models");
    const before = upstream.connectionCount;
    using client = await ClientConnection.open(proxy.port("plain"));
    const response = await client
      .send(requestBytes("/v1/models", { headers: ["Connection", "close"] }))
      .response();
    expect(valueOf(response.headers, "connection")).toBe("close");
    expect(await client.untilEnd()).toBe("fin");
    await ask(proxy.port("plain"), "/v1/models");
    // The pool of either worker may have opened one.
    expect(upstream.connectionCount).toBeLessThanOrEqual(before + 1);
  });
});
