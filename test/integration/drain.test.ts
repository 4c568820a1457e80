import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { valueOf } from "../support/response-reader.ts";
import { errorOf, eventually } from "../support/wait.ts";

let upstream: DemoUpstream;
beforeAll(() => {
  upstream = startUpstream({ name: "demo" });
});
afterAll(() => upstream.stop());

function start(...args: string[]): Promise<RunningProxy> {
  return startProxy({ config: configOf({ main: { upstreams: { demo: upstream.url } } }), args });
}

/** A stream under way, so far that the client has seen of it. */
async function beginStream(proxy: RunningProxy, script: string): Promise<ClientConnection> {
  const body = JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "Hi" }] });
  const client = await ClientConnection.open(proxy.port());
  client.send(requestBytes("/v1/chat/completions", { body, headers: ["x-demo-script", script] }));
  return client.until((pending) => pending.includes('"content"'));
}

/** Nobody is let in any longer. */
function closed(proxy: RunningProxy): Promise<void> {
  return eventually("new connections are refused", async () => {
    try {
      (await ClientConnection.open(proxy.port())).destroy();
      return false;
    } catch {
      return true;
    }
  });
}

describe.each([["SIGTERM" as const], ["SIGINT" as const]])("at %s", (signal) => {
  test("a stream in progress completes, nothing new is accepted, and the exit code is 0", async () => {
    await using proxy = await start();
    using client = await beginStream(proxy, "tokens=20; interval=40");
    proxy.signal(signal);
    await closed(proxy);
    const health = await fetch(`${proxy.adminUrl}/health`);
    expect(health.status).toBe(503);
    expect(client.ended).toBeNull();
    const response = await client.response();
    expect(response.complete).toBe(true);
    expect(response.body.toString()).toContain("[DONE]");
    client.close();
    expect(await proxy.exited).toBe(0);
  });
});

test("without requests in progress it ends at once, connections at rest or not", async () => {
  await using proxy = await start();
  using client = await ClientConnection.open(proxy.port());
  await client.send(requestBytes("/v1/models")).response();
  using silent = await ClientConnection.open(proxy.port());
  proxy.signal("SIGTERM");
  expect(await client.untilEnd()).toBe("fin");
  // It may still have waited to be accepted: then it is reset.
  await silent.untilEnd();
  expect(await proxy.exited).toBe(0);
});

test("a request that waits for its answer gets it, and is told that the connection closes", async () => {
  await using proxy = await start();
  const asked = ask(proxy.port(), "/v1/models", { headers: ["x-demo-script", "delay=800"] });
  await eventually("the request is at the upstream", () => upstream.counts.inFlight === 1);
  proxy.signal("SIGTERM");
  const response = await asked;
  expect(response.status).toBe(200);
  expect(valueOf(response.headers, "connection")).toBe("close");
  expect(await proxy.exited).toBe(0);
});

test("a request whose body is still being sent is answered", async () => {
  await using proxy = await start();
  using client = await ClientConnection.open(proxy.port());
  const body = '{"model":"demo-1","messages":[]}';
  client.send(`POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nContent-Length: ${body.length}\r\n\r\n{`);
  // Its head has arrived when a later request of another client has been answered.
  for (let round = 0; round < 4; round++) await ask(proxy.port(), "/v1/models");
  proxy.signal("SIGTERM");
  await closed(proxy);
  client.send(body.slice(1));
  expect((await client.response()).status).toBe(200);
  client.close();
  expect(await proxy.exited).toBe(0);
});

test("with a delay it is not healthy any more, but still accepts for so long", async () => {
  await using proxy = await start("--shutdown-delay", "2");
  proxy.signal("SIGTERM");
  await proxy.logged(" draining ");
  expect((await fetch(`${proxy.adminUrl}/health`)).status).toBe(503);
  const response = await ask(proxy.port(), "/v1/models");
  expect(response.status).toBe(200);
  await closed(proxy);
  expect(await proxy.exited).toBe(0);
});

test("a second signal cuts what is in progress, with exit code 1", async () => {
  await using proxy = await start();
  using client = await beginStream(proxy, "hang=mid-stream");
  proxy.signal("SIGTERM");
  await closed(proxy);
  expect(client.ended).toBeNull();
  const exited = proxy.exited.finally(() => clearInterval(repeating));
  const repeating = setInterval(() => proxy.signal("SIGTERM"), 20);
  expect(await exited).toBe(1);
  expect((await client.response()).complete).toBe(false);
});

test("signals that come together, as from a terminal by way of npm, are one and cut nothing", async () => {
  await using proxy = await start();
  using client = await beginStream(proxy, "tokens=20; interval=40");
  // Two of one kind might reach the process as one.
  for (const signal of ["SIGINT", "SIGTERM"] as const) proxy.signal(signal);
  expect((await client.response()).complete).toBe(true);
  expect(await proxy.exited).toBe(0);
});

test("the time limit cuts what is in progress, with exit code 1", async () => {
  await using proxy = await start("--shutdown-timeout", "1");
  using client = await beginStream(proxy, "hang=mid-stream");
  proxy.signal("SIGTERM");
  expect(await proxy.exited).toBe(1);
  expect((await client.response()).complete).toBe(false);
  await eventually("the upstream sees its connection close", () => upstream.counts.inFlight === 0);
});

test("a client that goes away while draining lets the process end", async () => {
  await using proxy = await start();
  const client = await beginStream(proxy, "hang=mid-stream");
  proxy.signal("SIGTERM");
  await closed(proxy);
  client.destroy();
  expect(await proxy.exited).toBe(0);
});

test("a signal that comes as soon as it says that it listens is not lost", async () => {
  for (let round = 0; round < 8; round++) await (await start()).stop();
});

test("after the end its port is free", async () => {
  const proxy = await start();
  const port = proxy.port();
  await proxy.stop();
  await errorOf(ClientConnection.open(port));
  Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
});

const mayUnshare =
  process.getuid?.() === 0 && Bun.spawnSync(["unshare", "--pid", "--fork", "true"]).exitCode === 0;

test.skipIf(!mayUnshare)(
  "the first process of a container hears signals, and ends what is in progress first",
  async () => {
    const config = configOf({ main: { upstreams: { demo: upstream.url } } });
    const wrapper = ["unshare", "--pid", "--fork", "--kill-child"];
    const proxy = await startProxy({ config, wrapper, env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
    const first = Number(readFileSync(`/proc/${proxy.pid}/task/${proxy.pid}/children`, "latin1"));
    process.kill(first, "SIGHUP");
    await proxy.logged("configuration applied");
    process.kill(first, "SIGUSR2");
    await proxy.logged("the first process of a container cannot have one");
    using client = await beginStream(proxy, "tokens=20; interval=40");
    process.kill(first, "SIGTERM");
    expect((await client.response()).complete).toBe(true);
    client.close();
    expect(await proxy.exited).toBe(0);
  },
);
