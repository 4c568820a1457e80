import { afterAll, beforeEach, describe, expect, test } from "bun:test";

import type { Readiness } from "../../src/admin/readiness.ts";
import { serveAdmin } from "../../src/admin/server.ts";

const READY: Readiness = { ready: true, draining: false, workers: 1, unavailable_groups: [], groups: [] };

const sources = { serving: true, readiness: READY, metrics: "a 1\n" };
const server = serveAdmin(
  { address: "127.0.0.1", port: 0, connectTimeoutMs: 10_000 },
  {
    isServing: () => sources.serving,
    readiness: () => sources.readiness,
    metrics: () => {
      if (sources.metrics === "broken") throw new Error("a secret");
      return sources.metrics;
    },
  },
);
afterAll(() => server.stop(true));
beforeEach(() => Object.assign(sources, { serving: true, readiness: READY, metrics: "a 1\n" }));

const get = (path: string, method = "GET") => fetch(new URL(path, server.url), { method });

describe("the admin listener", () => {
  test("is healthy while serving, and not while draining", async () => {
    expect((await get("/health")).status).toBe(200);
    sources.serving = false;
    expect((await get("/health")).status).toBe(503);
  });

  test("says in JSON whether it is ready, and why not", async () => {
    const ready = await get("/ready");
    expect([ready.status, ready.headers.get("content-type")]).toEqual([200, "application/json"]);
    expect(await ready.json()).toEqual(READY);
    sources.readiness = { ...READY, ready: false, unavailable_groups: ["chat"] };
    const unready = await get("/ready");
    expect(unready.status).toBe(503);
    expect(await unready.json()).toMatchObject({ ready: false, unavailable_groups: ["chat"] });
  });

  test("gives the metrics as Prometheus' text", async () => {
    const response = await get("/metrics?x=1");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await response.text()).toBe("a 1\n");
  });

  test("knows nothing else, and only reads", async () => {
    expect((await get("/")).status).toBe(404);
    expect((await get("/metricsx")).status).toBe(404);
    const response = await get("/metrics", "POST");
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("tells nothing of an error of its own", async () => {
    sources.metrics = "broken";
    const response = await get("/metrics");
    expect(response.status).toBe(500);
    expect(await response.text()).toBe("internal error\n");
  });
});
