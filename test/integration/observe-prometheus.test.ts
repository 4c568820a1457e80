import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { queries, written } from "../support/dashboard.ts";
import { load, rawRequest } from "../support/load-client.ts";
import { Prometheus } from "../support/prometheus.ts";
import { hasPrometheus } from "../support/promtool.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

const ALERTS = join(import.meta.dir, "../../examples/prometheus/alerts.yaml");
const chat = { model: "demo-1", messages: [{ role: "user", content: "Hi" }] };
const CHAT = "/v1/chat/completions";
const TEXT = JSON.stringify(chat);
const STREAM = JSON.stringify({ ...chat, stream: true, stream_options: { include_usage: true } });
const ANTHROPIC = JSON.stringify({ ...chat, stream: true, max_tokens: 100 });

/** What the clients sent and got. */
const seen = { requests: 0, streams: 0, outputTokens: 0, errors: 0, failovers: 0, broken: 0, gone: 0 };

describe.skipIf(!hasPrometheus)("Prometheus itself (skipped where it is not installed)", () => {
  const upstreams: DemoUpstream[] = [];
  let proxy: RunningProxy;
  let prometheus: Prometheus;

  beforeAll(async () => {
    for (const name of ["a", "b", "c"]) upstreams.push(startUpstream({ name, recordedMax: 0 }));
    const [a, b, c] = upstreams.map(({ url }) => url) as [string, string, string];
    const client = { retry: { enabled: true, attempts: 2, initial: 100, budget: 1 } };
    const breaker = { threshold: 1 };
    proxy = await startProxy({
      config: configOf({
        pool: { upstreams: { a: { url: a, breaker }, b: { url: b, breaker } }, client },
        pair: { upstreams: { dead: "http://127.0.0.1:1", c }, strategy: "failover" },
      }),
      workers: 4,
    });
    prometheus = new Prometheus(new URL(proxy.adminUrl).host, ALERTS);
    await eventually("it scrapes", async () => (await prometheus.value("up")) === 1, 30_000);
  }, 60_000);
  afterAll(async () => {
    await prometheus[Symbol.asyncDispose]();
    await proxy.stop();
    for (const upstream of upstreams) upstream.stop();
  });

  /** Sends so many requests of a kind, and expects each to be answered with this status and so many tokens. */
  async function send(
    count: number,
    kind: { forward?: string; path?: string; body: string; script: string; status?: number; tokens: number },
  ): Promise<void> {
    const { forward = "pool", path = CHAT, body, script, status = 200, tokens } = kind;
    const request = rawRequest("POST", path, [`x-demo-script: ${script}`], body);
    expect(await load(proxy.port(forward), 16, count, () => request)).toEqual(new Map([[status, count]]));
    seen.requests += count;
    seen.outputTokens += count * tokens;
    if (status !== 200) seen.errors += count;
    if (script.startsWith("error-in-stream")) seen.broken += count;
    else if (body !== TEXT) seen.streams += count;
    if (forward === "pair") seen.failovers += count;
  }

  /** Tokens of an answer that no script steers. */
  async function unscriptedTokens(): Promise<number> {
    const upstream = startUpstream({ name: "d" });
    const response = await fetch(upstream.url + CHAT, { method: "POST", body: TEXT });
    const { usage } = (await response.json()) as { usage: { completion_tokens: number } };
    upstream.stop();
    return usage.completion_tokens;
  }

  async function leave(): Promise<void> {
    const client = await ClientConnection.open(proxy.port());
    client.send(requestBytes(CHAT, { body: STREAM, headers: ["x-demo-script", "hang=mid-stream"] }));
    await client.until((pending) => pending.includes("data:"));
    client.destroy();
    seen.requests++;
    seen.gone++;
  }

  /** Waits until each query has this answer. */
  async function expectAnswers(answers: readonly (readonly [query: string, value: number])[]) {
    for (const [query, value] of answers) {
      await eventually(`${query} is ${value}`, async () => (await prometheus.value(query)) === value, 20_000);
    }
  }

  test("scrapes the proxy under load, and its queries give what client and upstreams saw", async () => {
    await Promise.all([
      send(2000, { body: STREAM, script: "tokens=12; interval=1", tokens: 12 }),
      send(500, { path: "/v1/messages", body: ANTHROPIC, script: "tokens=9; interval=1", tokens: 9 }),
      send(1000, { body: TEXT, script: "tokens=20", tokens: 20 }),
      send(300, { body: TEXT, script: "status=400", status: 400, tokens: 0 }),
      send(50, { body: STREAM, script: "error-in-stream=2", tokens: 0 }),
      // Where it comes to this one of the two first, the other one is tried next.
      send(200, { body: TEXT, script: "upstream=a; status=503", tokens: await unscriptedTokens() }),
      send(100, { forward: "pair", body: STREAM, script: "tokens=5", tokens: 5 }),
      ...Array.from({ length: 7 }, leave),
    ]);
    const [a, b, c] = upstreams.map(({ counts }) => counts.accepted) as [number, number, number];
    const retries = a + b + c - seen.requests;
    expect(retries).toBeGreaterThan(0);
    await expectAnswers([
      ["sum(llmproxy_http_requests_total)", seen.requests],
      ['sum(llmproxy_http_requests_total{path="/v1/messages"})', 500],
      ["sum(llmproxy_http_request_duration_seconds_count)", seen.requests],
      ['sum(llmproxy_http_request_duration_seconds_bucket{le="+Inf"})', seen.requests],
      ["sum(llmproxy_proxy_overhead_seconds_count)", seen.requests],
      ["sum(llmproxy_http_request_errors_total)", seen.errors + seen.broken],
      ['llmproxy_http_request_errors_total{error="error_in_stream",status="200"}', seen.broken],
      ['llmproxy_http_request_errors_total{error="upstream_status",status="400"}', seen.errors],
      ["sum(llmproxy_client_disconnects_total)", seen.gone],
      ['llmproxy_upstream_requests_total{upstream="a"}', a],
      ['llmproxy_upstream_requests_total{upstream="b"}', b],
      ['llmproxy_upstream_requests_total{upstream="c"}', c],
      ['llmproxy_upstream_requests_total{upstream="dead"}', seen.failovers],
      ["sum(llmproxy_upstream_duration_seconds_count)", a + b + c + seen.failovers],
      ['llmproxy_upstream_errors_total{error="status_503"}', retries],
      ['llmproxy_upstream_retries_total{group="pool",reason="status_503"}', retries],
      ["sum(llmproxy_upstream_retries_total)", retries],
      ['llmproxy_upstream_failovers_total{group="pair",reason="refused"}', seen.failovers],
      ["sum(llmproxy_upstream_failovers_total)", seen.failovers],
      ['sum(llmproxy_llm_tokens_total{token_type="output"})', seen.outputTokens],
      ['sum(llmproxy_llm_streams_total{end="complete"})', seen.streams],
      ['sum(llmproxy_llm_streams_total{end="error"})', seen.broken],
      ['sum(llmproxy_llm_streams_total{end="client_gone"})', seen.gone],
      ["sum(llmproxy_llm_time_to_first_token_seconds_count)", seen.streams + seen.broken + seen.gone],
      ["sum(llmproxy_llm_time_per_output_token_seconds_count)", seen.streams],
      ['sum(llmproxy_circuitbreaker_calls_total{result="failure"})', retries + seen.broken],
      ["sum(llmproxy_http_requests_in_flight)", 0],
      ["sum(llmproxy_upstream_in_flight)", 0],
      ["count(llmproxy_worker_event_loop_lag_seconds)", 4],
    ]);
  }, 90_000);

  test("finds each histogram to have as many values as there were requests, series by series", async () => {
    const pairs = [
      ["llmproxy_http_request_duration_seconds_count", "llmproxy_http_requests_total"],
      ["llmproxy_upstream_duration_seconds_count", "llmproxy_upstream_requests_total"],
    ] as const;
    for (const [count, total] of pairs) {
      expect((await prometheus.query(`${count} == ${total}`)).length).toBeGreaterThan(0);
      expect(await prometheus.query(`${count} != ${total}`)).toEqual([]);
    }
    // Quantiles make sense: the tokens alone took so long.
    const duration = `sum by (le) (llmproxy_http_request_duration_seconds_bucket{path="/v1/messages"})`;
    expect(await prometheus.value(`histogram_quantile(0.5, ${duration})`)).toBeGreaterThan(0.005);
  });

  test("evaluates every alert rule", async () => {
    const healths = async () => (await prometheus.rules()).map(({ name, health }) => `${name} ${health}`);
    await eventually("all were evaluated", async () => !(await healths()).some((h) => h.endsWith("unknown")));
    expect((await healths()).filter((health) => !health.endsWith(" ok"))).toEqual([]);
  });

  test("answers everything that the dashboard asks", async () => {
    // What did not happen has no series, or none that changed.
    const silent = /circuitbreaker_opened|upstream_rests|token_details|usage_unknown|llm_unread/;
    for (const [title, expr] of queries) {
      const answer = await prometheus.query(written(expr, "5m"));
      if (!silent.test(expr)) expect([title, answer.length]).not.toEqual([title, 0]);
    }
  });
});
