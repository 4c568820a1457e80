import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

let upstream: DemoUpstream;
beforeAll(() => {
  upstream = startUpstream({ name: "demo" });
});
afterAll(() => upstream.stop());

const ask = (url: string, script: string) =>
  fetch(`${url}/v1/models`, { headers: { "x-demo-script": script } }).then((response) => response.status);

const readyOf = async (adminUrl: string) => {
  const response = await fetch(`${adminUrl}/ready`);
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, ...body };
};

describe("/ready", () => {
  test("names the group whose upstreams are all broken, until one may be tried again", async () => {
    const breaker = { threshold: 0.5, min_requests: 2, cooldown: 1 };
    const config = configOf({
      broken: { upstreams: { a: { url: upstream.url, breaker } } },
      fine: { upstreams: { b: upstream.url } },
    });
    await using proxy = await startProxy({ config });
    expect(await readyOf(proxy.adminUrl)).toMatchObject({ status: 200, ready: true });
    for (let i = 0; i < 2; i++) await ask(proxy.url("broken"), "status=500");
    expect(await readyOf(proxy.adminUrl)).toMatchObject({
      status: 503,
      ready: false,
      draining: false,
      unavailable_groups: ["broken"],
      groups: [
        { name: "broken", upstreams: 1, available: 0 },
        { name: "fine", upstreams: 1, available: 1 },
      ],
    });
    // Serving it is all the same.
    expect((await fetch(`${proxy.adminUrl}/health`)).status).toBe(200);
    await eventually("the cool-down is over", async () => (await readyOf(proxy.adminUrl)).status === 200);
  });

  test("and /health are 503 while draining", async () => {
    await using proxy = await startProxy({
      config: configOf({ pool: { upstreams: { demo: upstream.url } } }),
    });
    const client = await ClientConnection.open(proxy.port());
    client.send(requestBytes("/v1/models", { headers: ["x-demo-script", "hang=before-head"] }));
    await eventually("the request is under way", () => upstream.counts.inFlight > 0);
    proxy.signal("SIGTERM");
    await proxy.logged(" draining ");
    expect(await readyOf(proxy.adminUrl)).toMatchObject({ status: 503, ready: false, draining: true });
    expect((await fetch(`${proxy.adminUrl}/health`)).status).toBe(503);
    expect((await proxy.metrics()).get("llmproxy_draining")).toBe(1);
    client.destroy();
    expect(await proxy.exited).toBe(0);
  });
});

describe("the program's log has one line, with the reason, when", () => {
  test("a breaker opens, becomes half-open, and closes", async () => {
    const breaker = { threshold: 0.5, min_requests: 3, cooldown: 1 };
    const config = configOf({ pool: { upstreams: { demo: { url: upstream.url, breaker } } } });
    await using proxy = await startProxy({ config, workers: 4 });
    for (let i = 0; i < 3; i++) expect(await ask(proxy.url(), "status=500")).toBe(500);
    await proxy.logged(
      ' WARN circuit breaker opened upstream=demo group=pool reason="the failure rate reached its threshold" last_error=status_500 cooldown_s=1',
    );
    await eventually("it lets a probe through", async () => (await ask(proxy.url(), "status=502")) === 502);
    await proxy.logged(
      ' INFO circuit breaker is half-open upstream=demo group=pool reason="the cool-down is over"',
    );
    await proxy.logged(
      ' WARN circuit breaker opened upstream=demo group=pool reason="the probe failed" last_error=status_502 cooldown_s=1',
    );
    await eventually("it lets another one through", async () => (await ask(proxy.url(), "")) === 200);
    await proxy.logged(' INFO circuit breaker closed upstream=demo group=pool reason="the probe succeeded"');
    const metrics = await proxy.metrics();
    const labels = `group="pool",upstream="demo",url="${upstream.url}"`;
    const count = (name: string) => metrics.get(`llmproxy_circuitbreaker_${name}_total{${labels}}`);
    expect([count("opened"), count("half_opened"), count("closed")]).toEqual([2, 2, 1]);
    expect(proxy.stderr.split("circuit breaker opened").length - 1).toBe(2);
    const state = `llmproxy_circuitbreaker_state{upstream="demo",url="${upstream.url}",state=`;
    expect([metrics.get(`${state}"closed"}`), metrics.get(`${state}"open"}`)]).toEqual([1, 0]);
  });

  test("an upstream asks to be left alone; once, however often it says so", async () => {
    const config = configOf({ pool: { upstreams: { a: upstream.url, b: upstream.url } } });
    await using proxy = await startProxy({ config, workers: 2 });
    const statuses = await Promise.all(
      Array.from({ length: 20 }, () => ask(proxy.url(), "status=429; retry-after=60")),
    );
    expect(new Set(statuses)).toEqual(new Set([429]));
    for (const name of ["a", "b"])
      await proxy.logged(
        ` WARN upstream rests upstream=${name} group=pool reason="status 429 with a time to wait"`,
      );
    // Two workers may both see its beginning.
    expect(proxy.stderr.split("upstream rests").length - 1).toBeLessThanOrEqual(4);
    const metrics = await proxy.metrics();
    expect(metrics.get('llmproxy_upstream_rest_remaining_seconds{upstream="a"}')).toBeGreaterThan(50);
    expect(metrics.get('llmproxy_upstream_available{upstream="a"}')).toBe(0);
  });
});
