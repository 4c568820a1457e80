import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { configOf } from "../support/config.ts";
import { type Family, parsePrometheusText, sumOf } from "../support/prometheus-text.ts";
import { hasPromtool, promtool } from "../support/promtool.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

const MESSAGES = [{ role: "user", content: "What is the capital of France?" }];
const USAGE = { stream: true, stream_options: { include_usage: true } };

/** What the client saw, to be found in the metrics. */
interface Seen {
  requests: number;
  readonly byPath: Map<string, number>;
  readonly errors: Map<number, number>;
  cut: number;
  gone: number;
  input: number;
  output: number;
}

const upstreams: DemoUpstream[] = [];
const seen: Seen = {
  requests: 0,
  byPath: new Map(),
  errors: new Map(),
  cut: 0,
  gone: 0,
  input: 0,
  output: 0,
};
let proxy: RunningProxy;
let text: string;
let families: ReadonlyMap<string, Family>;

/** A request of which all is read; notes status, and the tokens that the answer tells. */
async function ask(path: string, body: object | null, script = ""): Promise<void> {
  seen.requests++;
  seen.byPath.set(path, (seen.byPath.get(path) ?? 0) + 1);
  let status = 0;
  try {
    const response = await fetch(proxy.url() + path, {
      method: body === null ? "GET" : "POST",
      headers: { "content-type": "application/json", "x-demo-script": script },
      ...(body === null ? {} : { body: JSON.stringify(body) }),
    });
    status = response.status;
    noteUsage(await response.text());
  } catch {
    seen.cut++;
  }
  if (status >= 400) seen.errors.set(status, (seen.errors.get(status) ?? 0) + 1);
}

/** The last number of each kind that an answer tells; all dialects write them differently. */
function noteUsage(answer: string): void {
  const last = (names: string) => [...answer.matchAll(new RegExp(`"(?:${names})":(\\d+)`, "g"))].at(-1)?.[1];
  seen.input += Number(last("prompt_tokens|input_tokens|prompt_eval_count") ?? 0);
  seen.output += Number(last("completion_tokens|output_tokens|eval_count") ?? 0);
}

/** A stream that the client leaves half way. */
async function leave(): Promise<void> {
  seen.requests++;
  seen.gone++;
  seen.byPath.set("/v1/chat/completions", (seen.byPath.get("/v1/chat/completions") ?? 0) + 1);
  const aborter = new AbortController();
  const response = await fetch(`${proxy.url()}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "demo-1", messages: MESSAGES, stream: true }),
    headers: { "content-type": "application/json", "x-demo-script": "hang=mid-stream" },
    signal: aborter.signal,
  });
  await response.body!.getReader().read();
  aborter.abort();
}

/** Asks all kinds of things at once, each several times. */
async function askEverything(): Promise<void> {
  const chat = { model: "demo-1", messages: MESSAGES };
  const kinds: (() => Promise<void>)[] = [
    () => ask("/v1/chat/completions", chat),
    () => ask("/v1/chat/completions", chat, "encoding=gzip"),
    () => ask("/v1/chat/completions", { ...chat, ...USAGE }),
    () => ask("/v1/chat/completions", { ...chat, ...USAGE }, "encoding=br; tokens=300"),
    () => ask("/v1/chat/completions", { ...chat, ...USAGE }, "encoding=zstd"),
    () => ask("/v1/completions", { model: "demo-2", prompt: "Once" }),
    () => ask("/v1/responses", { model: "demo-2", input: "Hello" }),
    () => ask("/v1/responses", { model: "demo-2", input: "Hello", stream: true }),
    () => ask("/v1/messages", { ...chat, max_tokens: 50 }),
    () => ask("/v1/messages", { ...chat, max_tokens: 50, stream: true }),
    () => ask("/v1/embeddings", { model: "embed-1", input: "Hello" }),
    () => ask("/api/chat", { model: "llama", messages: MESSAGES }),
    () => ask("/v1/models", null),
    () => ask("/v1/chat/completions", chat, "upstream=a; status=503"),
    () => ask("/v1/chat/completions", chat, "status=404"),
    () => ask("/v1/chat/completions", chat, "status=401"),
    () => ask("/v1/chat/completions", { ...chat, stream: true }, "reset=mid-stream"),
    () => ask("/somewhere/else", {}, "body-bytes=10"),
    leave,
  ];
  const all = Array.from({ length: 8 }, () => kinds).flat();
  await Promise.all(all.map((kind) => kind()));
}

const metric = (name: string, labels: Record<string, string> = {}) => sumOf(families, name, labels);

beforeAll(async () => {
  upstreams.push(startUpstream({ name: "a", recordedMax: 0 }), startUpstream({ name: "b", recordedMax: 0 }));
  const client = { retry: { enabled: true, attempts: 3, initial: 100, budget: 1 } };
  const [a, b] = upstreams;
  proxy = await startProxy({
    config: configOf({ pool: { upstreams: { a: a!.url, b: b!.url }, client } }),
    workers: 4,
  });
  await askEverything();
  await eventually("all is counted", async () => {
    text = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    families = parsePrometheusText(text);
    return (
      metric("llmproxy_http_request_duration_seconds_count") >= seen.requests &&
      metric("llmproxy_proxy_overhead_seconds_count") >= seen.requests &&
      metric("llmproxy_upstream_duration_seconds_count") >= metric("llmproxy_upstream_requests_total")
    );
  });
}, 60_000);

afterAll(async () => {
  await proxy.stop();
  for (const upstream of upstreams) upstream.stop();
});

describe("the metrics of four workers say what client and upstreams saw", () => {
  test("requests, in all and by path", () => {
    expect(metric("llmproxy_http_requests_total")).toBe(seen.requests);
    const { "/somewhere/else": other, ...known } = Object.fromEntries(seen.byPath);
    expect(metric("llmproxy_http_requests_total", { path: "other" })).toBe(other!);
    for (const [path, count] of Object.entries(known))
      expect([path, metric("llmproxy_http_requests_total", { path })]).toEqual([path, count]);
  });

  test("attempts, by upstream", () => {
    for (const { name, counts } of upstreams)
      expect(metric("llmproxy_upstream_requests_total", { upstream: name })).toBe(counts.accepted);
  });

  test("retries: as many as there were attempts beyond the first, by reason", () => {
    const attempts = upstreams.reduce((sum, { counts }) => sum + counts.accepted, 0);
    expect(metric("llmproxy_upstream_retries_total")).toBe(attempts - seen.requests);
    const failed = metric("llmproxy_upstream_errors_total", { error: "status_503" });
    expect(failed).toBeGreaterThan(0);
    expect(metric("llmproxy_upstream_retries_total", { reason: "status_503" })).toBe(failed);
  });

  test("errors, by status", () => {
    expect(seen.errors).toEqual(
      new Map([
        // Scripted, and of the unknown path.
        [404, 16],
        [401, 8],
      ]),
    );
    for (const [status, count] of seen.errors)
      expect(metric("llmproxy_http_request_errors_total", { status: String(status) })).toBe(count);
    expect(seen.cut).toBe(8);
    expect(metric("llmproxy_http_request_errors_total", { error: "upstream_broken" })).toBe(seen.cut);
    expect(metric("llmproxy_http_request_errors_total")).toBe(24 + seen.cut);
  });

  test("clients that left", () => {
    expect(metric("llmproxy_client_disconnects_total", { phase: "answering" })).toBe(seen.gone);
    expect(metric("llmproxy_client_disconnects_total", { phase: "waiting" })).toBe(0);
    expect(metric("llmproxy_llm_streams_total", { end: "client_gone" })).toBe(seen.gone);
  });

  test("streams, by their end", () => {
    // Three of OpenAI's chat, and one of each other API that streams.
    expect(metric("llmproxy_llm_streams_total", { end: "complete" })).toBe(8 * 6);
    expect(metric("llmproxy_llm_streams_total", { end: "truncated" })).toBe(seen.cut);
  });

  test("tokens", () => {
    expect(metric("llmproxy_llm_tokens_total", { token_type: "input" })).toBe(seen.input);
    expect(metric("llmproxy_llm_tokens_total", { token_type: "output" })).toBe(seen.output);
    expect(seen.output).toBeGreaterThan(0);
    expect(metric("llmproxy_llm_tokens_total", { model: "llama" })).toBeGreaterThan(0);
    expect(metric("llmproxy_llm_unread_total")).toBe(0);
  });

  test("as many durations as requests and attempts, and an overhead for each request", () => {
    expect(metric("llmproxy_http_request_duration_seconds_count")).toBe(seen.requests);
    expect(metric("llmproxy_proxy_overhead_seconds_count")).toBe(seen.requests);
    expect(metric("llmproxy_upstream_duration_seconds_count")).toBe(
      metric("llmproxy_upstream_requests_total"),
    );
  });

  test("a time to the first token for each stream that had one", () => {
    const streams = metric("llmproxy_llm_streams_total");
    expect(metric("llmproxy_llm_time_to_first_token_seconds_count")).toBe(streams);
    expect(metric("llmproxy_llm_time_per_output_token_seconds_count")).toBe(
      metric("llmproxy_llm_streams_total", { end: "complete" }),
    );
  });

  test("that nothing is under way any more", () => {
    expect(metric("llmproxy_http_requests_in_flight")).toBe(0);
    expect(metric("llmproxy_upstream_in_flight")).toBe(0);
    expect(metric("llmproxy_workers")).toBe(4);
    expect(families.get("llmproxy_worker_event_loop_lag_seconds")!.samples).toHaveLength(4);
  });

  test("what is running, since when and at what cost", () => {
    expect(families.get("llmproxy_build_info")!.samples[0]!.labels).toMatchObject({ bun: Bun.version });
    expect(metric("process_start_time_seconds")).toBeLessThanOrEqual(Date.now() / 1000);
    expect(metric("process_cpu_seconds_total")).toBeGreaterThan(0);
    expect(metric("process_resident_memory_bytes")).toBeGreaterThan(1e6);
  });

  test.skipIf(!hasPromtool)(
    "in a text that promtool has nothing against (skipped where it is not installed)",
    async () => {
      expect(await promtool(["check", "metrics"], text)).toEqual({ exitCode: 0, output: "" });
    },
  );
});
