// What the functions on the way of every request and every token cost, one thread, no network:
//   bun scripts/bench/primitives.ts
import { parseRequestHead } from "../../src/http/request-head.ts";
import { describePath } from "../../src/llm/dialect.ts";
import { ResponseReader } from "../../src/llm/response-reader.ts";
import { MovingAverages } from "../../src/memory/moving-average.ts";
import { RateLimitRule, RateLimitTable } from "../../src/memory/rate-limit-table.ts";
import { Region } from "../../src/memory/region.ts";
import { RollingWindows } from "../../src/memory/rolling-window.ts";
import { clientHeaders, requestIdOf, upstreamHeaders } from "../../src/proxy/headers.ts";
import { upstreamTarget } from "../../src/proxy/target.ts";
import { Deadline, DeadlineQueue } from "../../src/shared/deadlines.ts";
import { BREAKER, sketchPlan } from "../../test/balancer/setup.ts";
import { median } from "./statistics.ts";

const WARM_TIMES = 200_000;
const CHUNKS = 50;
const CHUNK_TIMES = 10_000;

/** Prints the median of many short stretches, in ns per call: a thread that is put to sleep spoils only one of them. */
function report(name: string, call: (i: number) => unknown): void {
  let used = 0;
  const run = (times: number) => {
    for (let i = 0; i < times; i++) if (call(i) !== undefined) used++;
  };
  run(WARM_TIMES);
  const chunks: number[] = [];
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    const startNs = Bun.nanoseconds();
    run(CHUNK_TIMES);
    chunks.push((Bun.nanoseconds() - startNs) / CHUNK_TIMES);
  }
  // The results are used, so that no compiler can leave the calls out.
  if (used < 0) throw new Error("impossible");
  console.log(`${name.padEnd(56)} ${(median(chunks) ?? 0).toFixed(0).padStart(6)} ns`);
}

// As an SDK sends it.
const HEAD_LINES = [
  "POST /v1/chat/completions HTTP/1.1",
  "Host: 127.0.0.1:3000",
  "Accept: application/json",
  "Content-Type: application/json",
  "User-Agent: OpenAI/JS 7.57.0",
  "X-Stainless-Retry-Count: 0",
  "X-Stainless-Lang: js",
  "X-Stainless-Package-Version: 7.57.0",
  "X-Stainless-OS: Linux",
  "X-Stainless-Arch: x64",
  "X-Stainless-Runtime: node",
  "X-Stainless-Runtime-Version: v22.0.0",
  "Authorization: Bearer sk-0123456789abcdef0123456789abcdef",
  "Accept-Encoding: gzip, br",
  "Connection: keep-alive",
  "Content-Length: 256",
  "",
];
const HEAD = Buffer.from(HEAD_LINES.join("\r\n"), "latin1");
const ANSWER_HEADERS = [
  ["Date", "Mon, 01 Jan 2024 00:00:00 GMT"],
  ["Content-Type", "text/event-stream; charset=utf-8"],
  ["Transfer-Encoding", "chunked"],
  ["Connection", "keep-alive"],
  ["OpenAI-Processing-Ms", "123"],
  ["X-Request-Id", "req_0123456789abcdef0123456789abcdef"],
  ["Set-Cookie", "a=b; path=/; HttpOnly"],
].flat();
const TOKEN = new TextEncoder().encode(
  'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt",' +
    '"choices":[{"index":0,"delta":{"content":" balancing"},"finish_reason":null}],"usage":null}\n\n',
);
const COMPLETION = new TextEncoder().encode(
  '{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt","choices":[{"index":0,' +
    '"message":{"role":"assistant","content":"Load balancing spreads requests."},"finish_reason":"stop"}],' +
    '"usage":{"prompt_tokens":19,"completion_tokens":17,"total_tokens":36}}',
);

const parsed = parseRequestHead(HEAD);
if (!("headers" in parsed)) throw new Error(parsed.message);
const { headers, target } = parsed;
const upstream = sketchPlan([BREAKER], []).upstreams[0]!;
const forwarded = { ...upstream, basePath: "/v1", authorization: "Bearer key" };
const streamed = { dialect: "openai-chat", status: 200, contentType: "text/event-stream" } as const;
const whole = { dialect: "openai-chat", status: 200, contentType: "application/json" } as const;
const stream = new ResponseReader(streamed);
const averages = inRegion((region) => new MovingAverages(region, 1, 8));
const windows = inRegion((region) => new RollingWindows(region, 1));
const limits = inRegion((region) => new RateLimitTable(region, 65_536));
const rule = new RateLimitRule(1000, 100);
const queue = new DeadlineQueue(60_000);
const deadline = new Deadline(() => {});

function inRegion<T>(make: (region: Region) => T): T {
  const bytes = Region.measure((region) => void make(region));
  return make(new Region(new SharedArrayBuffer(bytes)));
}

report("request head of 15 fields parsed", () => parseRequestHead(HEAD));
report("path described", () => describePath(target));
report("request id made", () => requestIdOf([]));
report("target for the upstream", () => upstreamTarget(forwarded, target));
report("fields for the upstream", () => upstreamHeaders(headers, forwarded, "LLMProxy/1.0", "id"));
report("fields for the client", () => clientHeaders(ANSWER_HEADERS, "id", true));
report("one token of a stream read", () => stream.feed(TOKEN));
report("completion with usage read", () => {
  const reader = new ResponseReader(whole);
  reader.feed(COMPLETION);
  return reader.end(true);
});
report("deadline armed and cancelled", () => {
  deadline.arm(queue);
  deadline.cancel();
});
report("moving average, one sample", (i) => averages.sample(0, i & 1023));
report("rolling window, one call", (i) => windows.add(0, i, 30_000, 1, 0));
report("rate limit, one of 1,024 clients", (i) =>
  limits.decide(0, { high: 0, low: 1 + (i & 1023) }, rule, i),
);
