import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { startUpstream } from "../../src/demo/upstream.ts";
import { withAccessLog } from "../support/access-log.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, type Keys, TRANSPORTS } from "../support/config.ts";
import { FakeClock, hasFakeClock } from "../support/fake-clock.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { type RawResponse, valueOf } from "../support/response-reader.ts";
import { eventually } from "../support/wait.ts";

setDefaultTimeout(60_000);
if (!hasFakeClock) console.log("clock jumps: skipped, as there is no libfaketime (Debian: faketime)");

/** A little more than any time limit of the configuration below. */
const JUMP_S = 3_660;
const HOUR_S = 3_600;
const REST_S = 500;
const BURST = 50;

const upstream = startUpstream({ name: "demo" });
const breaker = { threshold: 1, min_requests: 5, window: 30 };

/** Groups whose upstreams, as the proxy sees them, have nothing in common. */
function config(transport: string): Keys {
  const { url } = upstream;
  const group = (name: string, keys: Keys = {}, further: Keys = {}) => ({
    upstreams: { [name]: { url, ...keys } },
    ...further,
  });
  const groups = {
    calm: group("calm"),
    hasty: group("hasty", {}, { client: { timeout: { request: 2 } } }),
    impatient: group("impatient", {}, { forward: { timeout: { connect: 1 } } }),
    held: group("held", { breaker: { ...breaker, cooldown: HOUR_S } }),
    short: group("short", { breaker: { ...breaker, cooldown: 1 } }),
    window: group("window", { breaker: { ...breaker, cooldown: HOUR_S } }),
    // A single one would be used all the same.
    resting: { upstreams: { resting1: url, resting2: url } },
    limited: group("limited", {}, { forward: { ratelimit: { enabled: true, per_second: 1, burst: BURST } } }),
  };
  return withAccessLog(configOf(groups, transport), {});
}

const body = JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "Hi" }] });
const request = (script: string) =>
  requestBytes("/v1/chat/completions", { body, headers: script === "" ? [] : ["x-demo-script", script] });

describe.skipIf(!hasFakeClock).each(TRANSPORTS)("over the transport %s", (transport) => {
  describe.each([
    ["forwards", JUMP_S],
    ["backwards", -JUMP_S],
  ])("when the clock jumps %s by an hour", (_, jumpS) => {
    test("nothing opens, closes, limits or times out wrongly", async () => {
      using clock = new FakeClock();
      await using proxy = await startProxy({ config: config(transport), env: clock.env });
      const send = async (forward: string, script = "") =>
        (await ClientConnection.open(proxy.port(forward))).send(request(script));
      const statusOf = async (forward: string, script = "") =>
        (await ask(proxy.port(forward), "/v1/chat/completions", scripted(script))).status;
      const fail = async (forward: string, times: number) => {
        for (let i = 0; i < times; i++) expect(await statusOf(forward, "status=500")).toBe(500);
      };

      await fail("held", 5);
      await fail("short", 5);
      await fail("window", 4);
      for (let i = 0; i < 2; i++)
        expect(await statusOf("resting", `status=503; retry-after=${REST_S}`)).toBe(503);
      const limitedMs = performance.now();
      for (let i = 0; i < BURST; i++) expect(await statusOf("limited")).toBe(200);
      const atRest = await send("calm");
      expect((await atRest.response()).complete).toBe(true);
      const stream = await (
        await send("calm", "tokens=40; interval=50")
      ).until((text) => text.includes("data:"));
      const thinking = await send("calm", "delay=1500");
      const sentMs = performance.now();
      const hanging = await send("hasty", "hang=before-head");
      const stalled = (await ClientConnection.open(proxy.port("impatient"))).send("POST / HTTP/1.1\r\n");
      await eventually("all are under way", () => upstream.counts.inFlight === 3);

      clock.jump(jumpS);
      await jumped(proxy, jumpS, () => statusOf("calm"));

      // What was under way goes on, and ends when it should.
      expect((await stream.response()).body.toString()).toContain("[DONE]");
      expect((await thinking.response()).status).toBe(200);
      expect((await stalled.response()).status).toBe(408);
      expect((await hanging.response()).status).toBe(504);
      expect(performance.now() - sentMs).toBeGreaterThan(1_900);
      expect((await atRest.send(request("")).response()).status).toBe(200);

      // What was open stays open for its time, and no longer; what was counted still counts.
      for (const [forward, mostS] of [
        ["held", HOUR_S],
        ["resting", REST_S],
      ] as const)
        expectHeld(await ask(proxy.port(forward), "/v1/models"), mostS);
      await eventually("the breaker closes", async () => (await statusOf("short")) === 200, 20_000);
      await fail("window", 1);
      expect(await statusOf("window")).toBe(503);

      // An hour has not filled the bucket, and has not emptied it for an hour either.
      let passed = 0;
      for (let i = 0; i < BURST; i++) if ((await statusOf("limited")) === 200) passed++;
      expect(passed).toBeLessThanOrEqual(1 + (performance.now() - limitedMs) / 1000);
      await eventually("it passes again", async () => (await statusOf("limited")) === 200, 20_000);

      // What has begun after the jump is bound as before it.
      expect(await statusOf("hasty", "hang=before-head")).toBe(504);
      expectMeasured(await proxy.metrics());
      for (const client of [atRest, stream, thinking, hanging, stalled]) client.destroy();
    });
  });
});

function scripted(script: string) {
  return { body, headers: script === "" ? [] : ["x-demo-script", script] };
}

/** Waits until the proxy's own clock says that it has jumped; its access log tells. */
async function jumped(proxy: RunningProxy, jumpS: number, request: () => Promise<unknown>): Promise<void> {
  await eventually("the clock has jumped", async () => {
    await request();
    const last = [...proxy.stdout.matchAll(/"time":"([^"]+)"/g)].at(-1)?.[1] ?? "";
    return Math.abs(Date.parse(last) - Date.now() - jumpS * 1000) < 60_000;
  });
}

/** Refused, and told to come back when the time that was set is over. */
function expectHeld({ status, headers }: RawResponse, mostS: number): void {
  const afterS = Number(valueOf(headers, "retry-after"));
  expect({ mostS, status }).toEqual({ mostS, status: 503 });
  expect(afterS).toBeLessThanOrEqual(mostS);
  expect(afterS).toBeGreaterThan(mostS - 100);
}

/** No time that was measured is an hour too long or too short, and no worker died. */
function expectMeasured(metrics: ReadonlyMap<string, number>): void {
  const sums = [...metrics].filter(([series]) => /_seconds_sum[{ ]?/.test(series));
  expect(sums.length).toBeGreaterThan(0);
  for (const [series, seconds] of sums) {
    expect({ series, seconds, isPlausible: seconds >= 0 && seconds < 600 }).toEqual({
      series,
      seconds,
      isPlausible: true,
    });
  }
  expect(metrics.get("llmproxy_worker_deaths_total") ?? 0).toBe(0);
}
