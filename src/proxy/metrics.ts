import type { BreakerCall, BreakerState } from "../balancer/events.ts";
import { byId, type GroupPlan, type Plan, type UpstreamPlan } from "../config/plan.ts";
import { type ApiPath, methodLabelOf } from "../llm/dialect.ts";
import type { Counter, Gauge, Histogram, Recorder } from "../observe/recorder.ts";
import { BoundedModels, PairMetrics } from "./upstream-metrics.ts";

const TRANSITIONS = {
  open: "llmproxy_circuitbreaker_opened_total",
  half_open: "llmproxy_circuitbreaker_half_opened_total",
  closed: "llmproxy_circuitbreaker_closed_total",
} as const;

/** Methods and paths that a forward counts apart; further ones are counted as `other`. */
const REQUEST_SERIES_MAX = 128;
/** Requests of one method and path. */
export interface RequestSeries {
  readonly requests: Counter;
  readonly duration: Histogram;
}

/**
 * What one worker counts for a plan. All labels come from the configuration or from bounded sets. Series are found
 * once and held on to; nothing is joined to a text where requests pass.
 */
export class ProxyMetrics {
  private readonly recorder: Recorder;
  private readonly groupPlans: readonly GroupPlan[];
  private readonly upstreams: readonly UpstreamPlan[];
  private readonly forwards: readonly ForwardMetrics[];
  private readonly groups: readonly GroupMetrics[];

  /** `models`: of this worker, whatever its plan. */
  constructor(recorder: Recorder, plan: Plan, models: BoundedModels) {
    this.recorder = recorder;
    this.groupPlans = byId(plan.groups);
    this.upstreams = byId(plan.upstreams);
    const forwards: ForwardMetrics[] = [];
    for (const { id, name } of plan.forwards) forwards[id] = new ForwardMetrics(recorder, name);
    this.forwards = forwards;
    const groups: GroupMetrics[] = [];
    for (const { id, name, members } of plan.groups) {
      const pairs: PairMetrics[] = [];
      for (const { upstream } of members)
        pairs[upstream] = new PairMetrics(recorder, [name, this.upstreams[upstream]!.name], models);
      groups[id] = new GroupMetrics(recorder, name, pairs);
    }
    this.groups = groups;
    this.prepareBreakers(plan);
  }

  /** Requests of which not all is known yet. */
  get unfinished(): number {
    return this.forwards.reduce((sum, forward) => sum + forward.unfinished, 0);
  }

  forward(id: number): ForwardMetrics {
    return this.forwards[id]!;
  }

  group(id: number): GroupMetrics {
    return this.groups[id]!;
  }

  /** A request was refused by the rate limit, or let through without being counted by it. */
  rateLimit(forward: number, verdict: "limited" | "untracked"): void {
    this.forwards[forward]![verdict].add(1);
  }

  breakerCall(group: number, upstream: number, result: BreakerCall): void {
    const pair = this.groups[group]!.pair(upstream);
    pair.breakerCalls[result] ??= this.recorder.counter(
      "llmproxy_circuitbreaker_calls_total",
      ...this.labelsOf(group, upstream),
      result,
    );
    pair.breakerCalls[result].add(1);
  }

  breakerMoved(group: number, upstream: number, from: BreakerState, to: BreakerState): void {
    const labels = this.labelsOf(group, upstream);
    this.recorder.counter("llmproxy_circuitbreaker_state_changes_total", ...labels, from, to).add(1);
    this.recorder.counter(TRANSITIONS[to], ...labels).add(1);
  }

  /** A series that is there from the beginning, at 0, shows its first step; one that begins with 1 does not. */
  private prepareBreakers(plan: Plan): void {
    for (const { id, members } of plan.groups) {
      for (const { upstream } of members) {
        if (this.upstreams[upstream]!.breaker === null) continue;
        const labels = this.labelsOf(id, upstream);
        for (const metric of Object.values(TRANSITIONS)) this.recorder.counter(metric, ...labels);
        for (const result of ["success", "failure", "rejected"])
          this.recorder.counter("llmproxy_circuitbreaker_calls_total", ...labels, result);
      }
    }
  }

  private labelsOf(group: number, upstream: number): [string, string, string] {
    const { name, url } = this.upstreams[upstream]!;
    return [this.groupPlans[group]!.name, name, url];
  }
}

/** What is counted of one forward. */
export class ForwardMetrics {
  /** Requests of which not all is known yet. */
  unfinished = 0;
  readonly inFlight: Gauge;
  readonly requestBytes: Counter;
  readonly responseBytes: Counter;
  readonly overhead: Histogram;
  /** Requests refused by the rate limit, and those let through without being counted by it. */
  readonly limited: Counter;
  readonly untracked: Counter;
  private readonly recorder: Recorder;
  private readonly name: string;
  private readonly requests = new Map<ApiPath, Map<string, RequestSeries>>();
  private requestSeries = 0;
  private readonly errors = new Map<string, Map<number, Counter>>();

  constructor(recorder: Recorder, name: string) {
    this.recorder = recorder;
    this.name = name;
    this.inFlight = recorder.gauge("llmproxy_http_requests_in_flight", name);
    this.requestBytes = recorder.counter("llmproxy_http_request_bytes_total", name);
    this.responseBytes = recorder.counter("llmproxy_http_response_bytes_total", name);
    this.overhead = recorder.histogram("llmproxy_proxy_overhead_seconds", name);
    this.limited = recorder.counter("llmproxy_ratelimit_total", name);
    this.untracked = recorder.counter("llmproxy_ratelimit_untracked_total", name);
    for (const phase of ["waiting", "answering"])
      recorder.counter("llmproxy_client_disconnects_total", name, phase);
  }

  /** The series of a method and path. */
  request(method: string, path: ApiPath): RequestSeries {
    let byMethod = this.requests.get(path);
    if (byMethod === undefined) this.requests.set(path, (byMethod = new Map()));
    const label = methodLabelOf(method);
    let series = byMethod.get(label);
    if (series === undefined) {
      const isFull = this.requestSeries++ >= REQUEST_SERIES_MAX;
      series = isFull ? this.makeRequest("other", "other") : this.makeRequest(label, path.label);
      byMethod.set(label, series);
    }
    return series;
  }

  /** A request did not end well; `status` is what the client saw. */
  failed(error: string, status: number): void {
    let byStatus = this.errors.get(error);
    if (byStatus === undefined) this.errors.set(error, (byStatus = new Map()));
    let counter = byStatus.get(status);
    if (counter === undefined) {
      counter = this.recorder.counter("llmproxy_http_request_errors_total", this.name, error, String(status));
      byStatus.set(status, counter);
    }
    counter.add(1);
  }

  /** A client left before it had its answer. */
  disconnected(phase: "waiting" | "answering"): void {
    this.recorder.counter("llmproxy_client_disconnects_total", this.name, phase).add(1);
  }

  private makeRequest(method: string, path: string): RequestSeries {
    const labels = [this.name, method, path] as const;
    return {
      requests: this.recorder.counter("llmproxy_http_requests_total", ...labels),
      duration: this.recorder.histogram("llmproxy_http_request_duration_seconds", ...labels),
    };
  }
}

/** What is counted of one group. */
export class GroupMetrics {
  private readonly recorder: Recorder;
  private readonly name: string;
  private readonly pairs: readonly PairMetrics[];

  constructor(recorder: Recorder, name: string, pairs: readonly PairMetrics[]) {
    this.recorder = recorder;
    this.name = name;
    this.pairs = pairs;
    recorder.counter("llmproxy_upstream_retries_suppressed_total", name);
  }

  /** The series of one of its upstreams, by id. */
  pair(upstream: number): PairMetrics {
    return this.pairs[upstream]!;
  }

  /** Another attempt is made since the last one ended so. */
  triedAgain(kind: "retry" | "failover", reason: string): void {
    const metric = kind === "retry" ? "llmproxy_upstream_retries_total" : "llmproxy_upstream_failovers_total";
    this.recorder.counter(metric, this.name, reason).add(1);
  }

  retrySuppressed(): void {
    this.recorder.counter("llmproxy_upstream_retries_suppressed_total", this.name).add(1);
  }
}
