import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, type GroupSetup, type Keys } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

let a: DemoUpstream;
let b: DemoUpstream;
beforeAll(() => {
  a = startUpstream({ name: "a" });
  b = startUpstream({ name: "b" });
});
afterAll(() => {
  a.stop();
  b.stop();
});

const toA = (forward: Keys = {}): GroupSetup => ({ upstreams: { a: a.url }, forward });
const toB = (forward: Keys = {}): GroupSetup => ({ upstreams: { b: b.url }, forward });

/** Keys of `http_server` beside those of the configuration. */
function withServer(config: Keys, keys: Keys): Keys {
  return { ...config, http_server: { ...(config["http_server"] as Keys), ...keys } };
}

/** A stream under way, so far that the client has seen of it. */
async function beginStream(port: number, script: string): Promise<ClientConnection> {
  const body = JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "Hi" }] });
  const client = await ClientConnection.open(port);
  client.send(requestBytes("/v1/chat/completions", { body, headers: ["x-demo-script", script] }));
  return client.until((pending) => pending.includes('"content"'));
}

async function isRefused(port: number): Promise<boolean> {
  try {
    (await ClientConnection.open(port)).destroy();
    return false;
  } catch {
    return true;
  }
}

describe("at SIGHUP", () => {
  test("requests go where the new configuration says, on connections that stay open", async () => {
    await using proxy = await startProxy({ config: configOf({ main: toA() }) });
    using kept = await ClientConnection.open(proxy.port());
    await kept.send(requestBytes("/v1/models")).response();
    const before = b.counts.accepted;
    expect(await proxy.reload(configOf({ main: toB() }))).toContain(
      'applied reason=SIGHUP upstreams="+b -a" groups=~main',
    );
    expect((await kept.send(requestBytes("/v1/models")).response()).status).toBe(200);
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
    expect(b.counts.accepted - before).toBe(2);
    expect(kept.ended).toBeNull();
  });

  test("a stream in progress ends as it began, though its forward, group and upstream are gone", async () => {
    await using proxy = await startProxy({ config: configOf({ old: toA(), main: toB() }) });
    using stream = await beginStream(proxy.port("old"), "tokens=20; interval=40");
    await proxy.reload(configOf({ main: toB() }));
    expect(stream.ended).toBeNull();
    const response = await stream.response();
    expect(response.complete).toBe(true);
    expect(response.body.toString()).toContain("[DONE]");
    await eventually("its port is closed", () => isRefused(proxy.port("old")));
    await eventually("it is counted", async () => {
      const series = 'llmproxy_upstream_requests_total{group="old",upstream="a"}';
      return (await proxy.metrics()).get(series) === 1;
    });
  });

  test("forwards come, go and change their port; the others' listeners stay", async () => {
    const [first, second] = [unusedPort(), unusedPort()];
    await using proxy = await startProxy({ config: configOf({ main: toA(), moving: toB({ port: first }) }) });
    using kept = await ClientConnection.open(proxy.port("main"));
    await kept.send(requestBytes("/v1/models")).response();
    const third = unusedPort();
    await proxy.reload(configOf({ main: toA(), moving: toB({ port: second }), added: toB({ port: third }) }));
    for (const port of [second, third]) expect((await ask(port, "/v1/models")).status).toBe(200);
    await eventually("the old port is closed", () => isRefused(first));
    expect((await kept.send(requestBytes("/v1/models")).response()).status).toBe(200);
    await proxy.reload(configOf({ main: toA() }));
    for (const port of [second, third]) await eventually("it is closed", () => isRefused(port));
  });

  test("limits of a forward change on the connections that it has", async () => {
    await using proxy = await startProxy({ config: configOf({ main: toA() }) });
    using kept = await ClientConnection.open(proxy.port());
    const large = requestBytes("/v1/chat/completions", { body: JSON.stringify({ pad: "x".repeat(5000) }) });
    expect((await kept.send(large).response()).status).not.toBe(413);
    await proxy.reload(configOf({ main: toA({ max_body_size: 1024 }) }));
    expect((await kept.send(large).response()).status).toBe(413);
  });

  test("a rate limit comes, keeps what it has counted, and goes", async () => {
    const limited = (burst: number): Keys => ({ ratelimit: { enabled: true, per_second: 1, burst } });
    await using proxy = await startProxy({ config: configOf({ main: toA() }) });
    const statuses = async (count: number) => {
      const found: number[] = [];
      for (let i = 0; i < count; i++) found.push((await ask(proxy.port(), "/v1/models")).status);
      return found;
    };
    await proxy.reload(configOf({ main: toA(limited(3)) }));
    expect(await statuses(4)).toEqual([200, 200, 200, 429]);
    await proxy.reload(configOf({ main: { ...toA(limited(3)), strategy: "random" } }));
    expect(await statuses(1)).toEqual([429]);
    await proxy.reload(configOf({ main: toA() }));
    expect(await statuses(4)).toEqual([200, 200, 200, 200]);
  });

  test("a breaker stays open, averages and counters live on, and a new upstream begins anew", async () => {
    const breaker = { threshold: 0.5, min_requests: 2, cooldown: 600 };
    const group = (more: Readonly<Record<string, string>>): GroupSetup => ({
      upstreams: { a: { url: a.url, breaker }, ...more },
      strategy: "failover",
    });
    await using proxy = await startProxy({ config: configOf({ main: group({}) }) });
    for (let i = 0; i < 2; i++)
      await ask(proxy.port(), "/v1/models", { headers: ["x-demo-script", "status=500"] });
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(503);
    const before = await proxy.metrics();
    await proxy.reload(configOf({ main: group({ b: b.url }) }));
    const accepted = b.counts.accepted;
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
    expect(b.counts.accepted - accepted).toBe(1);
    const after = await proxy.metrics();
    const kept = [
      `llmproxy_circuitbreaker_opened_total{group="main",upstream="a",url="${a.url}"}`,
      'llmproxy_upstream_requests_total{group="main",upstream="a"}',
      'llmproxy_upstream_success_ratio{upstream="a"}',
    ];
    for (const series of kept) {
      expect(before.get(series)).toBeGreaterThan(0);
      expect(after.get(series)).toBe(before.get(series)!);
    }
    expect(after.get('llmproxy_upstream_success_ratio{upstream="b"}')).toBe(1);
  });

  test("the number of workers changes, and nobody notices", async () => {
    const config = configOf({ main: toA() });
    await using proxy = await startProxy({ config: withServer(config, { workers: 1 }), workers: null });
    const streams = await Promise.all(
      Array.from({ length: 8 }, () => beginStream(proxy.port(), "tokens=30; interval=40")),
    );
    for (const workers of [4, 2]) {
      expect(await proxy.reload(withServer(config, { workers }))).toContain(`workers=${workers}`);
      for (let i = 0; i < 20; i++) expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
      expect((await proxy.metrics()).get("llmproxy_workers")).toBe(workers);
    }
    for (const stream of streams) expect((await stream.response()).complete).toBe(true);
    expect((await proxy.metrics()).get("llmproxy_worker_deaths_total")).toBe(0);
    const series = 'llmproxy_upstream_requests_total{group="main",upstream="a"}';
    expect((await proxy.metrics()).get(series)).toBe(48);
  });

  test("the admin listener and the access log move", async () => {
    const config = configOf({ main: toA() });
    const adminPort = unusedPort();
    await using proxy = await startProxy({
      config: withServer(config, { admin: { address: "127.0.0.1", port: adminPort } }),
    });
    const moved = unusedPort();
    const file = `${proxy.directory}/access.log`;
    await proxy.reload(
      withServer(config, {
        admin: { address: "127.0.0.1", port: moved },
        access_log: { enabled: true, path: file },
      }),
    );
    expect((await fetch(`http://127.0.0.1:${moved}/health`)).status).toBe(200);
    await eventually("the old one is closed", () => isRefused(adminPort));
    await ask(proxy.port(), "/v1/models");
    await eventually("it is logged", async () => (await Bun.file(file).text()).includes("/v1/models"));
  });
});

describe("a configuration that cannot be applied", () => {
  test("is refused whole, with all errors, and changes nothing", async () => {
    await using proxy = await startProxy({ config: configOf({ main: toA() }) });
    const broken = configOf({ main: { ...toB(), strategy: "fastest" }, other: toB({ port: 70_000 }) });
    expect(await proxy.reload(broken)).toContain(
      'refused, everything goes on as before reason=SIGHUP why="2 errors"',
    );
    for (const part of [
      "upstream_groups[0].balance.strategy",
      "http_server.forwards[1].port",
      '"fastest"',
      "70000",
    ])
      expect(proxy.stderr).toContain(part);
    const before = a.counts.accepted;
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
    expect(a.counts.accepted - before).toBe(1);
  });

  test("as an address cannot be bound, closes what it had opened already", async () => {
    await using proxy = await startProxy({ config: configOf({ main: toA() }) });
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const opened = unusedPort();
    const config = configOf({ main: toB(), first: toB({ port: opened }), second: toB({ port: taken.port }) });
    expect(await proxy.reload(config)).toContain(
      `second\\" cannot listen on 127.0.0.1:${taken.port}: the port is in use`,
    );
    await eventually("what was opened is closed", () => isRefused(opened));
    taken.stop(true);
    const before = a.counts.accepted;
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
    expect(a.counts.accepted - before).toBe(1);
    expect(await proxy.reload(config)).toContain("applied");
    expect((await ask(opened, "/v1/models")).status).toBe(200);
  });

  test("as there is no room for it, says so", async () => {
    await using proxy = await startProxy({ config: configOf({ main: toA() }) });
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`u${i}`, `${a.url}/${i}`]));
    expect(await proxy.reload(configOf({ main: { upstreams: many } }))).toContain(
      "more upstreams than this process has room for (64)",
    );
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
  });

  test("as its file is gone, is refused, and the next one is not", async () => {
    await using proxy = await startProxy({ config: configOf({ main: toA() }) });
    expect(await proxy.reload("")).toContain("refused");
    expect(await proxy.reload(configOf({ main: toB() }))).toContain("applied");
  });
});

describe("with --watch", () => {
  test("a configuration, or a file that it names, that changes is read again", async () => {
    const secret = join(mkdtempSync(join(tmpdir(), "llmproxy-secret-")), "token");
    writeFileSync(secret, "first");
    const auth = { type: "bearer", token: `\${file:${secret}}` };
    const config = configOf({ main: { upstreams: { a: { url: a.url, auth } } } });
    await using proxy = await startProxy({ config, args: ["--watch"] });
    writeFileSync(secret, "second");
    await proxy.logged("configuration applied reason=--watch upstreams=~a");
    proxy.configure(configOf({ main: toB() }));
    await proxy.logged('configuration applied reason=--watch upstreams="+b -a"');
    rmSync(dirname(secret), { recursive: true });
  });

  test("the swap of a link that Kubernetes makes counts", async () => {
    await using proxy = await startProxy({ config: configOf({ main: toA() }), args: ["--watch"] });
    const at = (name: string) => join(proxy.directory, name);
    const publish = (version: string, config: Keys) => {
      mkdirSync(at(version));
      writeFileSync(at(`${version}/config.yaml`), JSON.stringify(config));
      symlinkSync(version, at("..data_tmp"));
      renameSync(at("..data_tmp"), at("..data"));
    };
    publish("one", configOf({ main: toB() }));
    rmSync(at("config.yaml"));
    symlinkSync("..data/config.yaml", at("config.yaml"));
    await proxy.logged('configuration applied reason=--watch upstreams="+b -a"');
    publish("two", configOf({ main: toA() }));
    await proxy.logged('configuration applied reason=--watch upstreams="+a -b"');
  });
});
