import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, type Keys } from "../support/config.ts";
import { canReadMemory, residentBytes } from "../support/process-memory.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { SteadyLoad } from "../support/steady-load.ts";

setDefaultTimeout(120_000);

const RELOADS = 100;
const STREAMS = 200;
const PER_SECOND = 500;
const MB = 1024 ** 2;

const upstreams: DemoUpstream[] = [];
beforeAll(() => {
  for (const name of ["a", "b", "c"]) upstreams.push(startUpstream({ name }));
});
afterAll(() => {
  for (const upstream of upstreams) upstream.stop();
});

/** A configuration with one or two of the upstreams, which differs from that of the round before. */
function configFor(round: number): Keys {
  const used = upstreams.filter((_, i) => round === 0 || i !== round % 3);
  const named = Object.fromEntries(used.map((upstream, i) => [`${"abc"[i]}${round % 4}`, upstream.url]));
  const strategy = ["roundrobin", "random", "response_aware"][round % 3]!;
  return configOf({ main: { upstreams: named, strategy, forward: { max_body_size: 1_000_000 + round } } });
}

async function beginStream(port: number): Promise<ClientConnection> {
  const body = JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "Hi" }] });
  const client = await ClientConnection.open(port);
  const headers = ["x-demo-script", "tokens=100; interval=100"];
  return client.send(requestBytes("/v1/chat/completions", { body, headers }));
}

/**
 * Does `RELOADS` reloads. Gives the least memory of the proxy after one of the second half of them, in bytes: what is
 * there at one moment has up to 40 MB in it that only waits for the garbage collector.
 */
async function leastMemory(proxy: RunningProxy, reload: (round: number) => Promise<void>): Promise<number> {
  let least = Infinity;
  for (let round = 1; round <= RELOADS; round++) {
    await reload(round);
    if (canReadMemory && round > RELOADS / 2) least = Math.min(least, residentBytes(proxy.pid));
  }
  return canReadMemory ? least : 0;
}

test("a hundred reloads, half of them refused, under requests and streams harm none of them, and leave no memory behind", async () => {
  await using proxy = await startProxy({ config: configFor(0) });
  const streams = await Promise.all(Array.from({ length: STREAMS }, () => beginStream(proxy.port())));
  const load = new SteadyLoad(proxy.port(), PER_SECOND);
  // The first ones compile code and fill caches.
  const before = await leastMemory(proxy, async (round) => void (await proxy.reload(configFor(round))));
  const after = await leastMemory(proxy, async (round) => {
    const config = configFor(round);
    if (round % 2 === 0) expect(await proxy.reload(config)).toContain(" configuration applied ");
    else expect(await proxy.reload({ ...config, upstreams: [] })).toContain(" configuration refused");
  });
  for (const stream of streams) {
    const response = await stream.response();
    expect([response.status, response.complete]).toEqual([200, true]);
    expect(response.body.toString()).toContain("[DONE]");
    stream.destroy();
  }
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.answered).toBeGreaterThan(PER_SECOND);
  console.log(`  ${load.answered} requests; ${((after - before) / MB).toFixed(1)} MB more after the reloads`);
  expect(after - before).toBeLessThan(40 * MB);
});

test("two processes on the same ports take over from each other without a failed request", async () => {
  const config = configOf({ main: { upstreams: { a: upstreams[0]!.url }, forward: { port: 0 } } });
  let old = await startProxy({ config });
  const port = old.port();
  const load = new SteadyLoad(port, PER_SECOND);
  for (let turn = 0; turn < 3; turn++) {
    const next = await startProxy({
      config: configOf({ main: { upstreams: { a: upstreams[0]!.url }, forward: { port } } }),
    });
    const served = load.answered;
    while (load.answered < served + PER_SECOND / 2) await Bun.sleep(10);
    // Ends with 0 when all is answered.
    await old.stop();
    old = next;
  }
  await load.stop();
  await old.stop();
  expect(load.failures).toEqual([]);
});

test("SIGUSR2 starts the executable anew and hands over to it without a failed request", async () => {
  const proxy = await startProxy({ config: configOf({ main: { upstreams: { a: upstreams[0]!.url } } }) });
  // The successor must use the same port, so the file names it.
  proxy.configure(
    configOf({ main: { upstreams: { a: upstreams[0]!.url }, forward: { port: proxy.port() } } }),
  );
  const load = new SteadyLoad(proxy.port(), PER_SECOND);
  const streams = await Promise.all(Array.from({ length: 20 }, () => beginStream(proxy.port())));
  proxy.signal("SIGUSR2");
  await proxy.logged(" draining signal=SIGUSR2 ");
  const served = load.answered;
  while (load.answered < served + PER_SECOND) await Bun.sleep(10);
  for (const stream of streams) {
    expect((await stream.response()).complete).toBe(true);
    stream.destroy();
  }
  expect(await proxy.exited).toBe(0);
  await load.stop();
  expect(load.failures).toEqual([]);
  const successor = Number(/ successor=(\d+)/.exec(proxy.stderr)?.[1]);
  process.kill(successor, "SIGTERM");
  await proxy.logged(" draining signal=SIGTERM ");
});

test("a successor that does not come up leaves everything as it was", async () => {
  await using proxy = await startProxy({
    config: configOf({ main: { upstreams: { a: upstreams[0]!.url } } }),
  });
  proxy.configure("http_server: nothing of use");
  const load = new SteadyLoad(proxy.port(), PER_SECOND);
  proxy.signal("SIGUSR2");
  await proxy.logged("the successor does not serve, so this process goes on");
  await load.stop();
  expect(load.failures).toEqual([]);
});
