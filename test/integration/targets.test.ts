import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { ask } from "../support/client-connection.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { startRawUpstream } from "../support/raw-upstream.ts";

describe.each(TRANSPORTS)("over the transport %s", (transport) => {
  const upstream = startRawUpstream((_, connection) =>
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
  );

  /** Base URL of the upstream (less its origin), target of the client, and what the upstream is asked for. */
  const cases: readonly (readonly [base: string, target: string, expected: string])[] = [
    ["", "/v1/chat/completions", "/v1/chat/completions"],
    ["", "/", "/"],
    ["/", "/v1/models", "/v1/models"],
    ["/v1", "/chat/completions", "/v1/chat/completions"],
    ["/v1", "/v1/chat/completions", "/v1/chat/completions"],
    ["/v1", "/v1", "/v1"],
    ["/v1", "/v1?x=1", "/v1?x=1"],
    ["/v1", "/v1/", "/v1/"],
    ["/v1", "/v1/v1/models", "/v1/v1/models"],
    ["/v1", "/v1beta/models", "/v1/v1beta/models"],
    ["/v1", "/v2/models", "/v1/v2/models"],
    ["/v1/", "/v1/models", "/v1/models"],
    ["/v1/", "/models", "/v1/models"],
    ["/api/v1", "/models", "/api/v1/models"],
    ["/api/v1", "/v1/models", "/api/v1/models"],
    ["/api/v1", "/api/v1/models", "/api/v1/models"],
    ["/api/v1", "/api/models", "/api/v1/api/models"],
    ["/a/b/c", "/b/c/d", "/a/b/c/d"],
    ["/a/b/c", "/c/d", "/a/b/c/d"],
    ["/a/b/c", "/b/d", "/a/b/c/b/d"],
    ["/a%2Fb", "/x", "/a%2Fb/x"],
    ["", "/v1/models/org%2Fname", "/v1/models/org%2Fname"],
    ["/v1", "/models/a%20b%7e~%E2%82%AC", "/v1/models/a%20b%7e~%E2%82%AC"],
    ["/v1", "/models/a:b@c;d=e,f!$&()*+", "/v1/models/a:b@c;d=e,f!$&()*+"],
    ["/v1", "/models//x", "/v1/models//x"],
    ["", "/v1/models?", "/v1/models?"],
    ["", "/x?a=1&a=2&b=%20+%2B&c=&d&e=/?:@;,", "/x?a=1&a=2&b=%20+%2B&c=&d&e=/?:@;,"],
    ["", "/x?%7e=~&url=https://h/v1?x", "/x?%7e=~&url=https://h/v1?x"],
    ["/v1", "/models?path=/v1/../x", "/v1/models?path=/v1/../x"],
    ["/openai?api-version=2024-10-21", "/models", "/openai/models?api-version=2024-10-21"],
    ["/openai?api-version=2024-10-21", "/models?x=1", "/openai/models?api-version=2024-10-21&x=1"],
  ];

  let proxy: RunningProxy;
  beforeAll(async () => {
    const groups = Object.fromEntries(
      [...new Set(cases.map(([base]) => base))].map((base, i) => [
        groupOf(base),
        { upstreams: { [`u${i}`]: upstream.url + base } },
      ]),
    );
    proxy = await startProxy({ config: configOf(groups, transport) });
  });
  afterAll(async () => {
    await proxy.stop();
    upstream.stop();
  });

  function groupOf(base: string): string {
    return `g${[...new Set(cases.map(([known]) => known))].indexOf(base)}`;
  }

  test.each([...cases])("base %j and target %j lead to %j", async (base, target, expected) => {
    const response = await ask(proxy.port(groupOf(base)), target);
    expect(response.status).toBe(200);
    expect(upstream.requests.at(-1)!.target).toBe(expected);
  });

  test("a target with an authority leads to the upstream all the same", async () => {
    const response = await ask(proxy.port(groupOf("/v1")), "http://elsewhere.test/v1/models?x=1", {
      headers: ["Host", "elsewhere.test"],
    });
    expect(response.status).toBe(200);
    expect(upstream.requests.at(-1)!.target).toBe("/v1/models?x=1");
  });
});
