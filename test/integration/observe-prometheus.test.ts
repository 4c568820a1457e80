import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Subprocess } from "bun";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { configOf } from "../support/config.ts";
import { load, rawRequest } from "../support/load-client.ts";
import { hasPrometheus } from "../support/promtool.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

const STREAM = JSON.stringify({
  model: "demo-1",
  messages: [{ role: "user", content: "Hi" }],
  stream: true,
  stream_options: { include_usage: true },
});
const TOKENS = 12;

/** A port that was free a moment ago. */
function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}

describe.skipIf(!hasPrometheus)("Prometheus itself (skipped where it is not installed)", () => {
  let upstream: DemoUpstream;
  let proxy: RunningProxy;
  let prometheus: Subprocess;
  let directory: string;
  let queryUrl: string;

  beforeAll(async () => {
    upstream = startUpstream({ name: "demo", recordedMax: 0 });
    proxy = await startProxy({
      config: configOf({ pool: { upstreams: { demo: upstream.url } } }),
      workers: 4,
    });
    directory = mkdtempSync(join(tmpdir(), "llmproxy-test-"));
    const targets = `[{ targets: ["${new URL(proxy.adminUrl).host}"] }]`;
    const file = join(directory, "prometheus.yaml");
    writeFileSync(
      file,
      `global: { scrape_interval: 1s, scrape_timeout: 1s }\n` +
        `scrape_configs: [{ job_name: llmproxy, static_configs: ${targets} }]\n`,
    );
    const listen = `127.0.0.1:${freePort()}`;
    queryUrl = `http://${listen}/api/v1/query`;
    prometheus = Bun.spawn(
      [
        "prometheus",
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(directory, "data")}`,
        `--web.listen-address=${listen}`,
      ],
      { stdout: "ignore", stderr: "ignore" },
    );
  }, 30_000);
  afterAll(async () => {
    prometheus.kill();
    await prometheus.exited;
    await proxy.stop();
    upstream.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** The value of a query that has one, else null. */
  async function query(text: string): Promise<number | null> {
    try {
      const response = await fetch(`${queryUrl}?query=${encodeURIComponent(text)}`);
      const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } };
      return data.result.length === 1 ? Number(data.result[0]!.value[1]) : null;
    } catch {
      return null;
    }
  }

  test("scrapes the proxy under load, and its queries give what client and upstream saw", async () => {
    await eventually("it scrapes", async () => (await query("up")) === 1, 30_000);
    const script = `x-demo-script: tokens=${TOKENS}; interval=1`;
    const streams = await load(proxy.port(), 32, 2000, () =>
      rawRequest("POST", "/v1/chat/completions", [script], STREAM),
    );
    const failures = await load(proxy.port(), 8, 300, () =>
      rawRequest("POST", "/v1/chat/completions", ["x-demo-script: status=500"], STREAM),
    );
    expect([streams, failures]).toEqual([new Map([[200, 2000]]), new Map([[500, 300]])]);
    const answers: [query: string, value: number][] = [
      ["sum(llmproxy_http_requests_total)", 2300],
      ["sum(llmproxy_http_request_duration_seconds_count)", 2300],
      ['sum(llmproxy_http_request_errors_total{status="500"})', 300],
      ["sum(llmproxy_upstream_requests_total)", upstream.counts.accepted],
      ['llmproxy_upstream_errors_total{error="status_500"}', 300],
      ['sum(llmproxy_llm_tokens_total{token_type="output"})', 2000 * TOKENS],
      ['sum(llmproxy_llm_streams_total{end="complete"})', 2000],
      ["sum(llmproxy_llm_time_to_first_token_seconds_count)", 2000],
      ["sum(llmproxy_http_requests_in_flight)", 0],
      ["count(llmproxy_worker_event_loop_lag_seconds)", 4],
    ];
    for (const [text, value] of answers)
      await eventually(`${text} is ${value}`, async () => (await query(text)) === value, 20_000);
    expect(
      await query("histogram_quantile(0.5, sum by (le) (llmproxy_http_request_duration_seconds_bucket))"),
    ).toBeGreaterThan(0);
  }, 90_000);
});
