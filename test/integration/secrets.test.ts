import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { runBinary } from "../support/binary.ts";
import { configOf, type Keys } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";

/** One secret for every place that can hold one; found anywhere, each tells where it came from. */
const canary = (place: string) => `canary-${place}-5f2c9e`;
const SECRET = /canary-[a-z-]+-5f2c9e/g;

let bearer: DemoUpstream;
let basic: DemoUpstream;
let open: DemoUpstream;
let directory: string;
let config: Keys;
let proxy: RunningProxy;
const env = { CANARY_TOKEN: canary("env-token"), CANARY_UNUSED: canary("env-unused") };

beforeAll(async () => {
  [bearer, basic, open] = ["bearer", "basic", "open"].map((name) => startUpstream({ name })) as [
    DemoUpstream,
    DemoUpstream,
    DemoUpstream,
  ];
  directory = mkdtempSync(join(tmpdir(), "llmproxy-secrets-"));
  const file = join(directory, "password");
  writeFileSync(file, `${canary("file-password")}\n`);
  const withUserinfo = open.url.replace("http://", `http://user:${canary("url-password")}@`);
  config = configOf({
    mixed: {
      strategy: "failover",
      upstreams: {
        bearer: {
          url: `${bearer.url}?key=${canary("base-query")}`,
          auth: { type: "bearer", token: "${CANARY_TOKEN}" },
          headers: [
            { op: "replace", key: "X-Team", value: canary("header-value") },
            { op: "insert", key: "X-Inserted", value: `\${CANARY_ABSENT:-${canary("env-default")}}` },
          ],
          breaker: { threshold: 1, cooldown: 1, min_requests: 1 },
        },
        basic: { url: basic.url, auth: { type: "basic", username: "user", password: `\${file:${file}}` } },
      },
      client: { retry: { enabled: true, attempts: 2, initial: 100, budget: 1 } },
    },
    userinfo: { upstreams: { userinfo: withUserinfo } },
    plain: { upstreams: { plain: open.url } },
    dead: { upstreams: { dead: { url: `http://127.0.0.1:${unusedPort()}/?key=${canary("dead-query")}` } } },
    proxied: {
      upstreams: { "behind-proxy": "http://127.0.0.1:9" },
      client: {
        proxy: { enabled: true, url: `http://user:${canary("proxy-password")}@127.0.0.1:${unusedPort()}` },
      },
    },
  });
  config = { ...config, http_server: { ...(config["http_server"] as Keys), access_log: { enabled: true } } };
  proxy = await startProxy({ config, env, args: ["--debug"] });
});
afterAll(() => {
  for (const upstream of [bearer, basic, open]) upstream.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Sends a request full of the client's own secrets, and gives all that comes back. */
async function send(forward: string, script: string): Promise<string> {
  const response = await fetch(`${proxy.url(forward)}/v1/chat/completions?k=${canary("client-query")}`, {
    method: "POST",
    redirect: "manual",
    headers: {
      authorization: `Bearer ${canary("client-token")}`,
      "x-api-key": canary("client-key"),
      cookie: `session=${canary("client-cookie")}`,
      ...(script === "" ? {} : { "x-demo-script": script }),
    },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content: canary("client-body") }] }),
  });
  return `${JSON.stringify([...response.headers])}${await response.text()}`;
}

/** Secrets that a request to this upstream held, without those in its body. */
function received(upstream: DemoUpstream): string[] {
  const text = upstream.requests.map(({ target, headers }) => {
    const decoded = headers.map((value) =>
      value.startsWith("Basic ") ? Buffer.from(value.slice(6), "base64").toString() : value,
    );
    return target + decoded.join("\n");
  });
  return [...new Set(text.join("\n").match(SECRET) ?? [])].toSorted();
}

test("a secret goes to its own upstream and nowhere else, whatever happens", async () => {
  const answers = [
    await send("mixed", ""),
    await send("mixed", "upstream=bearer; status=500"),
    await send("mixed", "upstream=bearer; reset=before-head"),
    await send("mixed", "upstream=basic; garbage=head"),
    await send("userinfo", ""),
    await send("plain", "status=401"),
    await send("plain", "status=302; header=Location:http://127.0.0.1:9/"),
    await send("dead", ""),
    await send("proxied", ""),
  ];
  const fromClient = ["client-cookie", "client-key", "client-query"].map(canary);
  expect(received(bearer)).toEqual(
    [
      ...fromClient,
      canary("base-query"),
      canary("env-token"),
      canary("header-value"),
      canary("env-default"),
    ].toSorted(),
  );
  expect(received(basic)).toEqual([...fromClient, canary("file-password")].toSorted());
  // Its own client's credentials pass where the upstream has none; those of the URL replace them.
  expect(received(open)).toEqual([...fromClient, canary("client-token"), canary("url-password")].toSorted());

  // The answer repeats the question: what the client said itself may come back to it.
  const back = answers.join("\n").replaceAll(canary("client-body"), "");
  expect(back.match(SECRET) ?? []).toEqual([]);

  const admin = await Promise.all(
    ["/metrics", "/health", "/ready", "/nothing"].map(async (path) =>
      (await fetch(proxy.adminUrl + path)).text(),
    ),
  );
  expect(admin.join("\n").match(SECRET) ?? []).toEqual([]);
  await proxy.stop();
  const written = proxy.stdout + proxy.stderr;
  expect(written).toContain("/v1/chat/completions");
  expect(written.match(SECRET) ?? []).toEqual([]);
});

test("neither --test nor an error in the configuration shows a secret", async () => {
  const file = join(directory, "config.yaml");
  writeFileSync(file, JSON.stringify(config));
  const tested = await runBinary(["--test", "--config", file], { env });
  expect(tested.exitCode).toBe(0);
  const broken = JSON.stringify(config)
    .replaceAll('"strategy":"', '"strategy":"no-')
    .replaceAll("threshold", "treshold");
  writeFileSync(file, broken);
  const refused = await runBinary(["--config", file], { env });
  expect(refused.exitCode).toBe(1);
  for (const { stdout, stderr } of [tested, refused])
    expect((stdout + stderr).match(SECRET) ?? []).toEqual([]);
});
