import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { configShape } from "../../src/config/schema-shape.ts";
import { withAccessLog } from "../support/access-log.ts";
import { runBinary } from "../support/binary.ts";
import { canariesIn, canary, filesBelow, keysWithCanaries, secretKeys } from "../support/canaries.ts";
import { ClientConnection } from "../support/client-connection.ts";
import { TRANSPORTS } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { SecretsSetup } from "./secrets-setup.ts";

/** What a client may hold that passes to any upstream, and its own Authorization, that passes where there is none. */
const PASSING = ["cookie", "anthropic-key", "azure-key", "google-key", "query", "query-token"].map((place) =>
  canary(`client-${place}`),
);
const CLIENT_TOKEN = canary("client-token");
const CLIENT_HEADERS = {
  authorization: `Bearer ${CLIENT_TOKEN}`,
  "proxy-authorization": `Basic ${canary("client-proxy")}`,
  "x-api-key": canary("client-anthropic-key"),
  "api-key": canary("client-azure-key"),
  "x-goog-api-key": canary("client-google-key"),
  cookie: `session=${canary("client-cookie")}`,
};
const QUERY = `key=${canary("client-query")}&%74oken=${canary("client-query-token")}`;

let directory: string;
let setup: SecretsSetup;

/** Sends a request full of the client's own secrets, and gives all that comes back. */
async function send(
  proxy: RunningProxy,
  forward: string,
  script = "",
  path = "/v1/chat/completions",
): Promise<string> {
  try {
    const response = await fetch(`${proxy.url(forward)}${path}?${QUERY}`, {
      method: "POST",
      redirect: "manual",
      headers: { ...CLIENT_HEADERS, ...(script === "" ? {} : { "x-demo-script": script }) },
      body: JSON.stringify({ model: "m", messages: [{ role: "user", content: canary("client-body") }] }),
    });
    return `${response.status} ${JSON.stringify([...response.headers])}${await response.text()}`;
  } catch (error) {
    return String(error);
  }
}

/** Sends bytes that are no good request, and gives what comes back until the proxy closes. */
async function sendRaw(proxy: RunningProxy, head: string): Promise<string> {
  using connection = await ClientConnection.open(proxy.port("mixed"));
  connection.send(head);
  await connection.untilEnd();
  return connection.pending;
}

const FIELDS = Object.entries(CLIENT_HEADERS)
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join("");
/** Heads that are refused, and with which status. */
const BAD_HEADS: [head: string, status: number][] = [
  [`GET /v1/models?${QUERY} HTTP/1.1\r\n${FIELDS}Host : x\r\n\r\n`, 400],
  [`GET /v1/models?${QUERY} HTTP/1.1\r\n${FIELDS}\r\n`, 400],
  [`GET /v1/models?${QUERY} HTTP/1.1\r\nHost: h\r\n${FIELDS}Authorization ${CLIENT_TOKEN}\r\n\r\n`, 400],
  [`GET /v1/models?${QUERY} HTTP/3.0\r\nHost: h\r\n${FIELDS}\r\n`, 505],
  [`GET http://user:${canary("client-userinfo")}@h/?${QUERY} HTTP/1.1\r\nHost: h\r\n${FIELDS}\r\n`, 400],
  [`CONNECT user:${canary("client-userinfo")}@h:443 HTTP/1.1\r\nHost: h\r\n${FIELDS}\r\n`, 405],
  [`GET /?${QUERY}#${canary("client-fragment")} HTTP/1.1\r\nHost: h\r\n${FIELDS}\r\n`, 400],
  [
    `POST /?${QUERY} HTTP/1.1\r\nHost: h\r\n${FIELDS}Transfer-Encoding: chunked\r\n\r\n${canary("client-chunk")}\r\n`,
    400,
  ],
  [`GET / HTTP/1.1\r\nHost: h\r\n${FIELDS}X: ${CLIENT_TOKEN.repeat(2_000)}\r\n\r\n`, 431],
  [`${canary("client-line")}\r\n\r\n`, 400],
];

/** Requests by forward, script for the upstream, and the status that comes back. */
const REQUESTS: [forward: string, script: string, status: number][] = [
  ["mixed", "", 200],
  ["mixed", "upstream=bearer; status=500", 200],
  ["mixed", "upstream=bearer; reset=before-head", 200],
  // These fail at each of the three.
  ["mixed", "status=503", 503],
  ["mixed", "reset=mid-stream", 502],
  ["userinfo", "", 200],
  ["userinfo", "status=401", 401],
  ["userinfo", "status=302; header=Location:http://127.0.0.1:9/", 302],
  ["userinfo", "garbage=head", 502],
  ["hanging", "hang=before-head", 504],
  ["refused", "", 502],
  ["no-tls", "", 502],
  ["untrusted", "", 502],
  ["no-name", "", 502],
  ["dead-proxy", "", 502],
  ["proxied", "", 407],
  ["tunnelled", "", 502],
  ["limited", "status=429; retry-after=1", 429],
  ["limited", "", 429],
];

/** Everything that clients ask, good and bad; gives all that was answered. */
async function askEverything(proxy: RunningProxy): Promise<string> {
  const answers: string[] = [];
  for (const [forward, script] of REQUESTS) answers.push(await send(proxy, forward, script));
  for (const [head] of BAD_HEADS) answers.push(await sendRaw(proxy, head));
  const statuses = [...REQUESTS.map(([, , status]) => status), ...BAD_HEADS.map(([, status]) => status)];
  expect(answers.map((answer) => Number(/\d{3}/.exec(answer)?.[0]))).toEqual(statuses);
  return answers.join("\n");
}

/** Asks for a stream, and goes away when it has begun. */
async function leaveStream(proxy: RunningProxy): Promise<void> {
  using connection = await ClientConnection.open(proxy.port("mixed"));
  const body = '{"model":"m","stream":true,"messages":[]}';
  const fields = `${FIELDS}X-Demo-Script: tokens=1000; interval=100\r\nContent-Length: ${body.length}\r\n`;
  connection.send(`POST /v1/chat/completions?${QUERY} HTTP/1.1\r\nHost: h\r\n${fields}\r\n${body}`);
  await connection.until((pending) => pending.includes("data: "));
}

async function askAdmin(proxy: RunningProxy): Promise<string> {
  const paths = ["/metrics", "/health", "/ready", "/status", "/nothing", "/"];
  const answers = await Promise.all(
    ["GET", "POST"].flatMap((method) =>
      paths.map(async (path) => {
        const response = await fetch(`${proxy.adminUrl}${path}?${QUERY}`, {
          method,
          headers: CLIENT_HEADERS,
        });
        return `${JSON.stringify([...response.headers])}${await response.text()}`;
      }),
    ),
  );
  return answers.join("\n");
}

/** The configuration with a list in each place of a secret, with a line break in each secret, and with YAML that is none. */
function brokenIn(config: object): string[] {
  const text = JSON.stringify(config, null, 2);
  return [
    text.replaceAll(/"([^"]*canary-bird[^"]*)"/g, '["$1"]'),
    text.replaceAll("canary-bird", "\\ncanary-bird"),
    text.replaceAll('": "', '" "'),
  ];
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "llmproxy-secrets-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.each(TRANSPORTS)("with %s", (transport) => {
  beforeAll(() => {
    setup = new SecretsSetup(directory, transport);
  });
  afterAll(() => setup.stop());

  test("every key that may hold a secret holds one", () => {
    expect(new Set(keysWithCanaries(setup.config))).toEqual(new Set(secretKeys(configShape)));
  });

  test("a secret goes to its own upstream and nowhere else, whatever happens", async () => {
    const accessLog =
      transport === "socket"
        ? { format: "json", query: true }
        : { format: "text", query: true, path: join(directory, "access.log") };
    const config = withAccessLog(setup.config, accessLog);
    const home = { HOME: directory, TMPDIR: directory };
    const env = { ...setup.env, ...home };
    const proxy = await startProxy({ config, env, cwd: directory, args: ["--debug"] });

    const answers = await askEverything(proxy);
    await leaveStream(proxy);
    // These quote the key themselves, so what they answer is not looked at.
    const quotes = [await send(proxy, "quoting"), await send(proxy, "quoting", "", "/v1/responses")];
    expect(quotes.map(canariesIn)).toEqual([[canary("env-token")], [canary("env-token")]]);

    const bearer = [...PASSING, canary("env-token"), canary("header-value"), canary("env-default")];
    const received = {
      bearer: setup.received("bearer"),
      basic: setup.received("basic"),
      open: setup.received("open"),
      spare: setup.received("spare"),
      quoting: setup.received("quoting"),
      outbound: setup.received("outbound"),
      untrusted: setup.received("untrusted"),
    };
    expect(received).toEqual({
      bearer: [...bearer, canary("base-query")].toSorted(),
      basic: [...PASSING, canary("env-user"), canary("file-password")].toSorted(),
      open: [...PASSING, CLIENT_TOKEN].toSorted(),
      // Two of the proxy's upstreams are this one: with credentials in the URL, and with all the others.
      spare: [...bearer, canary("url-user"), canary("url-password"), canary("hanging-query")].toSorted(),
      quoting: bearer.toSorted(),
      // It is sent whole requests for http, and is asked for a tunnel for https, with its own credentials only.
      outbound: [
        ...PASSING,
        CLIENT_TOKEN,
        ...["proxy", "tunnel"].flatMap((name) => [canary(`${name}-user`), canary(`${name}-password`)]),
      ].toSorted(),
      untrusted: [],
    });

    // An answer may repeat the question's body, and that alone.
    expect(canariesIn(answers.replaceAll(canary("client-body"), ""))).toEqual([]);
    expect(canariesIn(await askAdmin(proxy))).toEqual([]);

    // Other secrets; then mistakes around them; then a successor that finds the last of these too.
    const renewed = JSON.stringify(config).replaceAll("-5f2c9e", "-new-5f2c9e");
    expect(await proxy.reload(renewed)).toContain(" configuration applied ");
    await send(proxy, "userinfo");
    for (const broken of brokenIn(config))
      expect(await proxy.reload(broken)).toContain(" configuration refused, ");
    proxy.signal("SIGUSR2");
    await proxy.logged("the successor does not serve");
    proxy.signal("SIGUSR1");
    await proxy.stop();

    const written = `${proxy.stdout}${proxy.stderr}${filesBelow(directory, ["password", "config.yaml"])}`;
    for (const part of ["/v1/chat/completions", "attempt failed", "circuit breaker opened", "key=***"])
      expect(written).toContain(part);
    expect(canariesIn(written)).toEqual([]);
  }, 60_000);

  test("no command shows a secret, nor any error in the configuration", async () => {
    const file = join(directory, "config.yaml");
    const run = async (args: readonly string[], config: string, exitCode: number) => {
      writeFileSync(file, config);
      const finished = await runBinary(args, { env: setup.env });
      expect([args, finished.exitCode]).toEqual([args, exitCode]);
      expect(canariesIn(finished.stdout + finished.stderr)).toEqual([]);
    };
    const valid = JSON.stringify(setup.config, null, 2);
    await run(["--test", "--debug", "--config", file], valid, 0);
    await run(["--help"], valid, 0);
    await run(["--version"], valid, 0);
    // Its admin port is any free one.
    await run(["health", "--config", file], valid, 1);
    const nobody = `127.0.0.1:${unusedPort()}`;
    await run(["health", `http://user:${canary("health")}@${nobody}`], valid, 1);
    await run(["health", `http://${nobody}/health?key=${canary("health")}`], valid, 1);
    for (const key of [
      "token",
      "username",
      "password",
      "value",
      "url",
      "op",
      "type",
      "strategy",
      "name",
      "auth",
      "proxy",
    ]) {
      await run(["--test", "--config", file], valid.replaceAll(`"${key}": `, `"${key}s": `), 1);
    }
    for (const broken of brokenIn(setup.config)) {
      await run(["--test", "--config", file], broken, 1);
      await run(["--config", file], broken, 1);
    }
  }, 60_000);
});
