import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runBinary } from "../support/binary.ts";
import { canariesIn, canary } from "../support/canaries.ts";
import { ask } from "../support/client-connection.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { startRawUpstream } from "../support/raw-upstream.ts";
import { eventually } from "../support/wait.ts";
import { SecretsSetup } from "./secrets-setup.ts";

let directory: string;
let setup: SecretsSetup;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "llmproxy-leaks-"));
  setup = new SecretsSetup(directory, "auto");
});
afterAll(() => {
  setup.stop();
  rmSync(directory, { recursive: true, force: true });
});

const CHAT = "/v1/chat/completions";
const CLIENT = ["authorization", `Bearer ${canary("client-token")}`, "x-api-key", canary("client-key")];

function written({ stdout, stderr }: RunningProxy): string[] {
  return canariesIn(stdout + stderr);
}

test("a secret is found in each of its forms", () => {
  const secret = canary("x");
  for (const before of ["", "a", "ab", "abc"]) {
    const base64 = Buffer.from(`${before}${secret}`).toString("base64");
    for (const form of [secret, base64, `Basic_${base64}`, secret.replaceAll("-", "%2D"), `%zz%${secret}`])
      expect(canariesIn(`x ${form} y`)).toEqual([secret]);
  }
});

describe("no crash shows a secret", () => {
  test("of a request, of a worker, of the main thread", async () => {
    const wrapper = [process.execPath, new URL("../support/faulty-main.ts", import.meta.url).pathname];
    const { config, env } = setup;
    await using proxy = await startProxy({ config, env, args: ["--debug"], wrapper });
    const fail = (forward: string, fault: string) =>
      ask(proxy.port(forward), CHAT, { headers: [...CLIENT, "x-fault", fault], body: "{}" });
    // One forward's upstream has credentials of its own, the other one gets the client's.
    for (const forward of ["mixed", "limited"]) {
      const failed = await fail(forward, "throw");
      expect(failed.status).toBe(500);
      expect(canariesIn(JSON.stringify(failed.headers) + failed.body.toString())).toEqual([]);
    }
    await fail("mixed", "throw-later");
    await fail("mixed", "reject");
    await fail("mixed", "exit").catch(() => {});
    proxy.signal("SIGWINCH");
    const told = [
      "request failed",
      "uncaught exception",
      "unhandled rejection",
      "worker died",
      "bug in the main",
    ];
    for (const words of told) await proxy.logged(words);
    expect((await ask(proxy.port("userinfo"), "/v1/models")).status).toBe(200);
    await proxy.stop();
    expect(proxy.stderr).toContain("faulty-worker.ts");
    expect(written(proxy)).toEqual([]);
  });

  test("of the engine", async () => {
    const { config, env } = setup;
    // Without a `curl` in its PATH it tells nobody else.
    const proxy = await startProxy({ config, env, args: ["--debug"], wrapper: ["prlimit", "--core=0"] });
    for (const forward of ["mixed", "userinfo", "proxied"])
      await ask(proxy.port(forward), CHAT, { headers: CLIENT, body: "{}" });
    proxy.signal("SIGSEGV");
    expect(await proxy.exited).not.toBe(0);
    await eventually("it has said why", () => proxy.stderr.includes("panic("));
    await proxy.kill();
    expect(written(proxy)).toEqual([]);
  });
});

test.each(TRANSPORTS)("a redirect that repeats the query of the base URL: %s", async (transport) => {
  using upstream = startRawUpstream(({ target }, connection) =>
    connection.send(
      `HTTP/1.1 307 Temporary Redirect\r\nLocation: https://h.test${target}\r\nContent-Length: 0\r\n\r\n`,
    ),
  );
  const url = `${upstream.url}/v1?key=${canary("base-query")}&v=2`;
  await using proxy = await startProxy({
    config: configOf({ main: { upstreams: { main: url } } }, transport),
  });
  const { status, headers } = await ask(proxy.port(), "/v1/models?a=b");
  expect(upstream.requests[0]!.target).toContain(canary("base-query"));
  expect(status).toBe(307);
  expect(headers).toContain("https://h.test/v1/models?a=b");
  expect(canariesIn(headers.join("\n"))).toEqual([]);
});

test("a secret in the wrong key of the configuration", async () => {
  const file = join(directory, "config.yaml");
  const mistakes: [right: RegExp, wrong: string, path: string][] = [
    [/"type":"bearer"/, `"type":"Bearer ${canary("type")}"`, "auth.type"],
    [/"op":"insert"/, `"op":"${canary("op")}"`, "headers[1].op"],
    [/"key":"X-Team"/, `"key":"X-Team: ${canary("field")}"`, "headers[0].key"],
    [/"proxy":\{"enabled":true/, `"proxy":{"enabled":"http://${canary("enabled")}@h"`, "proxy.enabled"],
    [/"address":"127.0.0.1"/, `"address":"http://u:${canary("address")}@h"`, "address"],
    [/"strategy":"failover"/, `"strategy":"Bearer ${canary("strategy")}"`, "balance.strategy"],
    [/"url":"http:[^"]*"/, `"url":"Bearer ${canary("url")}"`, "upstreams[0].url"],
  ];
  for (const [right, wrong, path] of mistakes) {
    const valid = JSON.stringify(setup.config);
    expect(valid).toMatch(right);
    writeFileSync(file, valid.replace(right, wrong));
    const { exitCode, stderr } = await runBinary(["--test", "--config", file], { env: setup.env });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${path}: found a value that is not shown`);
    expect(canariesIn(stderr)).toEqual([]);
  }
});
