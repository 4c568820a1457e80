import { describe, expect, test } from "bun:test";

import { parseConfig } from "../../src/config/load.ts";
import { describePath } from "../../src/llm/dialect.ts";
import { Region } from "../../src/memory/region.ts";
import { SeriesCells } from "../../src/memory/series-cells.ts";
import { Board } from "../../src/observe/board.ts";
import { Recorder } from "../../src/observe/recorder.ts";
import { ProxyMetrics } from "../../src/proxy/metrics.ts";
import { BoundedModels, PairMetrics } from "../../src/proxy/upstream-metrics.ts";
import { configOf } from "../support/config.ts";
import { parsePrometheusText, sumOf } from "../support/prometheus-text.ts";

function setup() {
  const breaker = { threshold: 0.5 };
  const loaded = parseConfig(
    JSON.stringify(
      configOf({ pool: { upstreams: { a: { url: "http://u:p@a:1/v1", breaker }, b: "http://b:1" } } }),
    ),
    "test",
    {},
  );
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.errors));
  const make = (region: Region) => new SeriesCells(region, 1, 131_072);
  const rows = make(new Region(new SharedArrayBuffer(Region.measure((region) => void make(region)))));
  const board = new Board(rows);
  const recorder = new Recorder(rows.row(0), (notices) => board.take(0, notices));
  const metrics = new ProxyMetrics(recorder, loaded.plan, new BoundedModels());
  const read = async () => {
    await Promise.resolve();
    return parsePrometheusText(board.render());
  };
  return { metrics, read, recorder };
}

/** Paths of all known APIs, and some of none. */
const PATHS = [
  ...["chat/completions", "completions", "embeddings", "responses", "messages", "models", "files", "batches"],
  ...[
    "moderations",
    "images/generations",
    "audio/speech",
    "rerank",
    "score",
    "uploads",
    "realtime",
    "videos",
  ],
  ...Array.from({ length: 200 }, (_, i) => `unknown/${i}`),
].map((path) => describePath(`/v1/${path}`));

describe("the series of a forward", () => {
  test("are bounded, whatever methods and paths clients make up, and lose no request", async () => {
    const { metrics, read, recorder } = setup();
    const before = recorder.room;
    const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "FOO", "get", "\n"];
    for (const path of PATHS)
      for (const method of methods) metrics.forward(0).request(method, path).requests.add(1);
    const families = await read();
    expect(families.get("llmproxy_http_requests_total")!.samples.length).toBeLessThanOrEqual(129);
    expect(sumOf(families, "llmproxy_http_requests_total")).toBe(PATHS.length * methods.length);
    expect(sumOf(families, "llmproxy_metrics_dropped_series_total")).toBe(0);
    expect(before - recorder.room).toBeLessThan(3000);
  });

  test("of one path are the same however it is written", () => {
    const { metrics } = setup();
    const forward = metrics.forward(0);
    const series = forward.request("POST", describePath("/v1/chat/completions"));
    expect(forward.request("POST", describePath("/chat/completions?x=1"))).toBe(series);
    expect(forward.request("POST", describePath("/proxy/v1/chat/completions"))).toBe(series);
    expect(forward.request("GET", describePath("/v1/chat/completions"))).not.toBe(series);
  });
});

describe("the series of an upstream", () => {
  test("are bounded, whatever models it names, and lose no token", async () => {
    const { metrics, read } = setup();
    for (const upstream of [0, 1]) {
      const pair = metrics.group(0).pair(upstream);
      for (let i = 0; i < 5000; i++) {
        pair.model(`model-${i}`).tokens("output").add(1);
        pair.model(`model-${i}`).timeToFirstToken.observe(1);
      }
      pair.model(null).tokens("output").add(1);
    }
    const families = await read();
    expect(sumOf(families, "llmproxy_llm_tokens_total")).toBe(10_002);
    expect(sumOf(families, "llmproxy_llm_time_to_first_token_seconds_count")).toBe(10_000);
    expect(sumOf(families, "llmproxy_llm_tokens_total", { model: "unknown" })).toBe(2);
    expect(families.get("llmproxy_llm_tokens_total")!.samples).toHaveLength(2 * 102);
    expect(sumOf(families, "llmproxy_metrics_dropped_series_total")).toBe(0);
  });

  test("stay the same for a model, however many configurations follow each other", async () => {
    const { read, recorder } = setup();
    const models = new BoundedModels();
    for (let configuration = 0; configuration < 50; configuration++) {
      const pair = new PairMetrics(recorder, ["pool", "a"], models);
      for (let i = 0; i < 100; i++) pair.model(`model-${i}`).tokens("input").add(1);
    }
    const families = await read();
    expect(families.get("llmproxy_llm_tokens_total")!.samples).toHaveLength(100);
    for (const model of ["model-0", "model-99"])
      expect(sumOf(families, "llmproxy_llm_tokens_total", { model })).toBe(50);
  });

  test("name the URL without credentials, and are there before anything happens", async () => {
    const { read } = setup();
    const { samples } = (await read()).get("llmproxy_circuitbreaker_opened_total")!;
    expect(samples).toEqual([
      {
        name: "llmproxy_circuitbreaker_opened_total",
        labels: { group: "pool", upstream: "a", url: "http://a:1/v1" },
        value: 0,
      },
    ]);
  });

  test("count the steps of a breaker", async () => {
    const { metrics, read } = setup();
    metrics.breakerMoved(0, 0, "closed", "open");
    metrics.breakerMoved(0, 0, "open", "half_open");
    metrics.breakerMoved(0, 0, "half_open", "open");
    for (const result of ["success", "failure", "failure", "rejected"] as const)
      metrics.breakerCall(0, 0, result);
    const families = await read();
    const count = (name: string, labels = {}) =>
      sumOf(families, `llmproxy_circuitbreaker_${name}_total`, labels);
    expect([count("opened"), count("half_opened"), count("closed")]).toEqual([2, 1, 0]);
    expect(count("state_changes", { from: "half_open", to: "open" })).toBe(1);
    expect([count("calls", { result: "failure" }), count("calls", { result: "rejected" })]).toEqual([2, 1]);
  });
});
