import { afterAll, beforeAll, expect, test } from "bun:test";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { ask } from "../support/client-connection.ts";
import { configOf, type Keys } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { valuesOf } from "../support/response-reader.ts";

let upstream: DemoUpstream;
let proxy: RunningProxy;

beforeAll(async () => {
  upstream = startUpstream({ name: "demo" });
  const group = (forward: Keys) => ({ upstreams: { demo: upstream.url }, forward });
  const headers = [
    { op: "remove", key: "X-Forwarded-Host" },
    { op: "replace", key: "X-Forwarded-Proto", value: "https" },
  ];
  proxy = await startProxy({
    config: configOf({
      off: group({}),
      on: group({ forwarded: true }),
      behind: group({ forwarded: true, trusted_proxies: ["127.0.0.1"] }),
      changed: { upstreams: { changing: { url: upstream.url, headers } }, forward: { forwarded: true } },
      dual: group({ forwarded: true, address: "::" }),
    }),
  });
});
afterAll(async () => {
  await proxy.stop();
  upstream.stop();
});

const NAMES = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-real-ip"];

/** What the upstream is told, of the fields that tell about clients. */
async function told(forward: string, headers: readonly string[] = []): Promise<Record<string, string[]>> {
  upstream.clearRequests();
  const { status } = await ask(proxy.port(forward), "/v1/models", {
    headers: ["Host", "llm.test:81", ...headers],
  });
  expect(status).toBe(200);
  const received = upstream.requests.at(-1)!.headers as string[];
  return Object.fromEntries(
    NAMES.map((name) => [name, valuesOf(received, name)] as const).filter(([, values]) => values.length > 0),
  );
}

const SENT = ["X-Forwarded-For", "1.1.1.1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "outer.test"];

test("by default nothing is added, and what the client sends passes as it is", async () => {
  expect(await told("off")).toEqual({});
  expect(await told("off", SENT)).toEqual({
    "x-forwarded-for": ["1.1.1.1"],
    "x-forwarded-proto": ["https"],
    "x-forwarded-host": ["outer.test"],
  });
});

const DIRECT = {
  "x-forwarded-for": ["127.0.0.1"],
  "x-forwarded-proto": ["http"],
  "x-forwarded-host": ["llm.test:81"],
};

test("with forwarded: true the upstream is told of the client, and of nothing that it invents", async () => {
  expect(await told("on")).toEqual(DIRECT);
  expect(await told("on", SENT)).toEqual(DIRECT);
  expect(await told("on", [...SENT, "x-forwarded-for", "2.2.2.2"])).toEqual(DIRECT);
});

test("what a trusted proxy says is kept and extended", async () => {
  expect(await told("behind")).toEqual(DIRECT);
  expect(await told("behind", [...SENT, "X-Forwarded-For", "2.2.2.2, 3.3.3.3"])).toEqual({
    "x-forwarded-for": ["1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1"],
    "x-forwarded-proto": ["https"],
    "x-forwarded-host": ["outer.test"],
  });
});

test("a client cannot have the fields taken off by naming them in Connection", async () => {
  expect(await told("on", ["Connection", "close, X-Forwarded-For, x-forwarded-host"])).toEqual(DIRECT);
});

test("the upstream's own header operations come after", async () => {
  expect(await told("changed")).toEqual({ "x-forwarded-for": ["127.0.0.1"], "x-forwarded-proto": ["https"] });
});

test("an IPv4 client on an IPv6 socket is told in IPv4", async () => {
  expect(await told("dual")).toEqual(DIRECT);
});
