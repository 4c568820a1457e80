import { describe, expect, test } from "bun:test";

import type { HeaderOperation } from "../../src/config/plan.ts";
import type { HeaderList } from "../../src/http/exchange.ts";
import { clientHeaders, headerValue, requestIdOf, upstreamHeaders } from "../../src/proxy/headers.ts";
import { upstreamPlan } from "./plans.ts";

const AGENT = "LLMProxy/1.0";
const ID = "id-1";
/** What every request to an upstream gets, where nothing says otherwise. */
const ADDED = ["User-Agent", AGENT, "x-request-id", ID];

/** The fields for an upstream with these operations and credentials. */
function toUpstream(
  client: HeaderList,
  headers: readonly HeaderOperation[] = [],
  authorization: string | null = null,
): HeaderList {
  return upstreamHeaders(client, upstreamPlan({ headers, authorization }), AGENT, ID);
}

const HOP_BY_HOP = [
  "Connection",
  "Keep-Alive",
  "Proxy-Authenticate",
  "Proxy-Authentication-Info",
  "Proxy-Authorization",
  "Proxy-Connection",
  "TE",
  "Trailer",
  "Transfer-Encoding",
  "Upgrade",
  "Content-Length",
];

describe("the fields for an upstream", () => {
  test("are the client's, in order, repeated ones repeated, with names and values as they were", () => {
    const client = ["aCCept", "a", "X-B", "", "x-b", "caf\u00e9", "Cookie", "a=1; b=2", "x-b", " "];
    expect(toUpstream(client)).toEqual([...client, ...ADDED]);
  });

  test.each([...HOP_BY_HOP, "Expect", "Host"])("lack %s, however it is spelled", (name) => {
    const client = [name, "a", name.toLowerCase(), "b", name.toUpperCase(), "c", "X-Kept", "d"];
    expect(toUpstream(client)).toEqual(["X-Kept", "d", ...ADDED]);
  });

  test("lack what Connection names, in any list, case and spacing", () => {
    const client = [
      ...["Connection", "close, X-Hop ,\tx-other", "connection", "X-THIRD"],
      ...["x-hop", "1", "X-Other", "2", "X-Third", "3", "X-Fourth", "4"],
    ];
    expect(toUpstream(client)).toEqual(["X-Fourth", "4", ...ADDED]);
  });

  test("keep what Connection merely resembles", () => {
    const client = ["Connection", "keep-alive", "X-Connection", "X-A", "X-A", "1"];
    expect(toUpstream(client)).toEqual(["X-Connection", "X-A", "X-A", "1", ...ADDED]);
  });

  test("have the group's User-Agent in place of the client's", () => {
    expect(toUpstream(["user-agent", "openai-python", "USER-AGENT", "x"])).toEqual(ADDED);
  });

  test("have the client's request id, or the one that was made for it", () => {
    expect(toUpstream(["X-REQUEST-ID", "mine"])).toEqual(["X-REQUEST-ID", "mine", "User-Agent", AGENT]);
    // Named by Connection, it is not forwarded as the client's, but the upstream still gets one.
    expect(toUpstream(["Connection", "x-request-id", "X-Request-Id", "mine"])).toEqual(ADDED);
  });

  const operations: [string, HeaderOperation[], HeaderList, HeaderList][] = [
    ["insert adds what is absent", [{ op: "insert", key: "X-A", value: "new" }], [], ["X-A", "new"]],
    [
      "insert leaves what is there",
      [{ op: "insert", key: "X-A", value: "new" }],
      ["x-a", "old"],
      ["x-a", "old"],
    ],
    [
      "insert leaves what is there empty",
      [{ op: "insert", key: "X-A", value: "new" }],
      ["x-a", ""],
      ["x-a", ""],
    ],
    ["replace sets what is absent", [{ op: "replace", key: "X-A", value: "new" }], [], ["X-A", "new"]],
    [
      "replace sets it once, however often it is there",
      [{ op: "replace", key: "X-A", value: "new" }],
      ["x-a", "1", "X-B", "b", "X-A", "2"],
      ["X-B", "b", "X-A", "new"],
    ],
    [
      "remove drops every one",
      [{ op: "remove", key: "X-a" }],
      ["x-a", "1", "X-B", "b", "X-A", "2"],
      ["X-B", "b"],
    ],
    ["remove of what is absent does nothing", [{ op: "remove", key: "X-A" }], ["X-B", "b"], ["X-B", "b"]],
    [
      "they apply in their order",
      [
        { op: "insert", key: "X-A", value: "1" },
        { op: "remove", key: "x-a" },
        { op: "insert", key: "X-A", value: "2" },
        { op: "replace", key: "x-a", value: "3" },
      ],
      [],
      ["x-a", "3"],
    ],
  ];
  test.each(operations)("operations: %s", (_, list, client, expected) => {
    const headers = toUpstream(client, list);
    const own = headers.filter((_text, at) => !ADDED.includes(headers[at - (at % 2)]!));
    expect(own).toEqual(expected);
  });

  test("operations may change the User-Agent, the Host and the request id", () => {
    const list: HeaderOperation[] = [
      { op: "replace", key: "User-Agent", value: "mine" },
      { op: "replace", key: "Host", value: "other.test" },
      { op: "remove", key: "X-Request-Id" },
    ];
    expect(toUpstream(["Host", "client.test"], list)).toEqual(["User-Agent", "mine", "Host", "other.test"]);
  });

  test("have the upstream's credentials last, in place of the client's and of an operation's", () => {
    const operation: HeaderOperation = { op: "replace", key: "Authorization", value: "by operation" };
    expect(toUpstream(["authorization", "client's"], [operation], "Bearer upstream's")).toEqual([
      ...ADDED,
      ...["Authorization", "Bearer upstream's"],
    ]);
    // Also where the client tried to have it taken for a field of the connection.
    const stripping = ["Connection", "authorization", "Authorization", "client's"];
    expect(toUpstream(stripping, [], "Bearer upstream's").slice(-2)).toEqual([
      "Authorization",
      "Bearer upstream's",
    ]);
  });

  test("have the client's credentials where the upstream has none of its own", () => {
    const client = ["Authorization", "client's", "x-api-key", "key"];
    expect(toUpstream(client)).toEqual([...client, ...ADDED]);
  });

  test("leave the client's list as it was, for the next attempt", () => {
    const client = ["Authorization", "client's", "X-A", "1", "Connection", "x-a"];
    const before = [...client];
    toUpstream(client, [{ op: "remove", key: "Authorization" }], "Bearer upstream's");
    expect(client).toEqual(before);
  });
});

describe("the fields for the client", () => {
  test("are the upstream's, in order, repeated ones repeated", () => {
    const upstream = ["content-type", "a", "Set-Cookie", "a=1", "X-RateLimit", "", "set-cookie", "b=2"];
    expect(clientHeaders(upstream, ID, false)).toEqual([...upstream, "x-request-id", ID]);
  });

  test.each(HOP_BY_HOP)("lack %s, however it is spelled", (name) => {
    const upstream = [name, "a", name.toLowerCase(), "b", name.toUpperCase(), "c", "X-Kept", "d"];
    expect(clientHeaders(upstream, ID, false)).toEqual(["X-Kept", "d", "x-request-id", ID]);
  });

  test("lack what the upstream's Connection names", () => {
    expect(clientHeaders(["connection", "X-Hop", "x-hop", "1", "x-kept", "2"], ID, false)).toEqual([
      ...["x-kept", "2", "x-request-id", ID],
    ]);
  });

  test("have the upstream's request id where it gave one", () => {
    expect(clientHeaders(["X-Request-Id", "req_1"], ID, false)).toEqual(["X-Request-Id", "req_1"]);
  });

  test("keep a front proxy from holding an event stream back, unless the upstream says otherwise", () => {
    expect(clientHeaders([], ID, true)).toEqual(["x-request-id", ID, "x-accel-buffering", "no"]);
    expect(clientHeaders(["X-Accel-Buffering", "yes"], ID, true)).toEqual([
      ...["X-Accel-Buffering", "yes", "x-request-id", ID],
    ]);
    expect(headerValue(clientHeaders([], ID, false), "x-accel-buffering")).toBeNull();
  });
});

describe("a field", () => {
  test("is found whatever its case, the first one where it is repeated", () => {
    const headers = ["x-ab", "0", "X-A", "1", "x-a", "2", "X-E", ""];
    expect(headerValue(headers, "x-a")).toBe("1");
    expect(headerValue(headers, "x-e")).toBe("");
    expect(headerValue(headers, "1")).toBeNull();
    expect(headerValue([], "x-a")).toBeNull();
  });
});

describe("the id of a request", () => {
  test("is the client's, or a new one each time", () => {
    expect(requestIdOf(["X-Request-ID", "mine"])).toBe("mine");
    const made = [requestIdOf([]), requestIdOf([]), requestIdOf(["x-request-id", ""])];
    expect(new Set(made).size).toBe(3);
    for (const id of made) expect(id).toMatch(/^[0-9a-f-]{36}$/);
  });
});
