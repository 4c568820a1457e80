import type { RestCause } from "../balancer/balancer.ts";
import type { BreakerCall } from "../balancer/events.ts";
import { ModelNames, OTHER_MODEL } from "../observe/model-names.ts";
import type { Counter, Histogram, Recorder } from "../observe/recorder.ts";

/** Models, by group and upstream, that are counted apart; further ones are counted as `other`. */
const MODEL_SERIES_MAX = 1024;

/** How a stream ended, as far as its bytes tell. */
export type StreamEnd = "complete" | "truncated" | "error" | "client_gone" | "unknown";
/** Why a part of an answer could not be read. */
export type Unread = "syntax" | "size" | "coding";

/** What is counted of one upstream as a member of one group. */
export class PairMetrics {
  readonly requests: Counter;
  readonly duration: Histogram;
  readonly breakerCalls: Partial<Record<BreakerCall, Counter>> = {};
  private readonly recorder: Recorder;
  private readonly labels: readonly [group: string, upstream: string];
  private readonly boundedModels: BoundedModels;
  private readonly errors = new Map<string, Counter>();
  private readonly models = new Map<string, ModelMetrics>();
  private gaps: Histogram | null = null;
  private readonly ends: Partial<Record<StreamEnd, Counter>> = {};

  constructor(recorder: Recorder, labels: readonly [group: string, upstream: string], models: BoundedModels) {
    this.recorder = recorder;
    this.labels = labels;
    this.boundedModels = models;
    this.requests = recorder.counter("llmproxy_upstream_requests_total", ...labels);
    this.duration = recorder.histogram("llmproxy_upstream_duration_seconds", ...labels);
  }

  /** An attempt ended badly, with a code or a status. */
  failed(error: string): void {
    let counter = this.errors.get(error);
    if (counter === undefined) {
      counter = this.recorder.counter("llmproxy_upstream_errors_total", error, ...this.labels);
      this.errors.set(error, counter);
    }
    counter.add(1);
  }

  streamEnded(end: StreamEnd): void {
    this.ends[end] ??= this.recorder.counter("llmproxy_llm_streams_total", ...this.labels, end);
    this.ends[end].add(1);
  }

  /** Time between arrivals of model output. */
  get tokenGap(): Histogram {
    this.gaps ??= this.recorder.histogram("llmproxy_llm_token_gap_seconds", ...this.labels);
    return this.gaps;
  }

  unread(reason: Unread, count: number): void {
    this.recorder.counter("llmproxy_llm_unread_total", ...this.labels, reason).add(count);
  }

  /** It asked to be left alone. */
  rested(cause: RestCause): void {
    this.recorder.counter("llmproxy_upstream_rests_total", ...this.labels, cause).add(1);
  }

  /** The series of a model; null = unknown. */
  model(name: string | null): ModelMetrics {
    const known = name === null ? undefined : this.models.get(name);
    if (known !== undefined) return known;
    let label = this.boundedModels.names.labelOf(name);
    let series = this.models.get(label);
    if (series === undefined) {
      if (!this.boundedModels.admits(this.labels, label)) label = OTHER_MODEL;
      series = this.models.get(label) ?? new ModelMetrics(this.recorder, [...this.labels, label]);
      this.models.set(label, series);
    }
    return series;
  }
}

/** What bounds the models of all groups and upstreams together, whatever configurations these come from. */
export class BoundedModels {
  readonly names = new ModelNames();
  private readonly series = new Set<string>();

  /** Whether a model is counted apart for a group and upstream; once it is, it stays so. */
  admits(labels: readonly [group: string, upstream: string], model: string): boolean {
    const series = [...labels, model].join("\n");
    if (this.series.has(series)) return true;
    if (this.series.size >= MODEL_SERIES_MAX) return false;
    this.series.add(series);
    return true;
  }
}

/** What is counted of one model on one upstream of one group. Series begin with their first number. */
export class ModelMetrics {
  private readonly recorder: Recorder;
  private readonly labels: readonly [string, string, string];
  private readonly counters = new Map<string, Counter>();
  private first: Histogram | null = null;
  private perToken: Histogram | null = null;

  constructor(recorder: Recorder, labels: readonly [group: string, upstream: string, model: string]) {
    this.recorder = recorder;
    this.labels = labels;
  }

  tokens(type: "input" | "output"): Counter {
    return this.counter("llmproxy_llm_tokens_total", type);
  }

  detail(detail: "cached" | "cache_write" | "reasoning"): Counter {
    return this.counter("llmproxy_llm_token_details_total", detail);
  }

  usageUnknown(): void {
    this.recorder.counter("llmproxy_llm_usage_unknown_total", ...this.labels).add(1);
  }

  get timeToFirstToken(): Histogram {
    this.first ??= this.recorder.histogram("llmproxy_llm_time_to_first_token_seconds", ...this.labels);
    return this.first;
  }

  get timePerOutputToken(): Histogram {
    this.perToken ??= this.recorder.histogram("llmproxy_llm_time_per_output_token_seconds", ...this.labels);
    return this.perToken;
  }

  private counter(
    metric: "llmproxy_llm_tokens_total" | "llmproxy_llm_token_details_total",
    last: string,
  ): Counter {
    let counter = this.counters.get(last);
    if (counter === undefined) {
      counter = this.recorder.counter(metric, ...this.labels, last);
      this.counters.set(last, counter);
    }
    return counter;
  }
}
