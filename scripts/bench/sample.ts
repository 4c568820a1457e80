import { coresOf, type Memory, sharesBetween, type ThreadShare, type Usage } from "./procfs.ts";
import { median } from "./statistics.ts";

/** What is measured. Times are in the unit that the name ends with. */
export type Metric =
  | "perSecond"
  | "megabytesPerSecond"
  | "p50Us"
  | "p99Us"
  | "cpuUs"
  | "lagP50Us"
  | "lagP99Us"
  | "firstP50Us"
  | "firstP99Us"
  | "busiestPercent"
  | "errors"
  | "streamKb"
  | "firstAnswerMs"
  | "idleMb"
  | "idleRssMb";

/** What one turn of a target gave, or a whole round. */
export interface Sample {
  readonly values: Readonly<Partial<Record<Metric, number>>>;
  /** The target's threads, the busiest first; empty for a direct run. */
  readonly threads: readonly ThreadShare[];
  /** Cores that the load and the upstream took: where one is near 1, it is what was measured. */
  readonly loadCores: number;
  readonly upstreamCores: number;
}

/** Histogram of the load tool, ns. */
export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

/** The line that the load tool prints at the end. */
export interface LoadResult {
  readonly elapsed: number;
  readonly answers: number;
  readonly tokens: number;
  readonly failures: number;
  readonly not_200: number;
  readonly incomplete: number;
  readonly stalled: number;
  /** Connections on which tokens came. */
  readonly open: number;
  readonly latency: Quantiles;
  readonly lag: Quantiles;
  readonly first: Quantiles;
}

/** Usage of everyone at the beginning or the end of the measured time. */
export interface UsageOfAll {
  readonly target: Usage | null;
  readonly load: Usage;
  readonly upstream: Usage;
}

/** Of what CPU is counted per piece. */
export type Unit = "request" | "token";

/** Draws a sample from what the load said and what /proc said before and after. */
export function sampleOf(
  result: LoadResult,
  unit: Unit,
  bodyBytes: number,
  before: UsageOfAll,
  after: UsageOfAll,
): Sample {
  const seconds = result.elapsed / 1e9;
  const perSecond = (unit === "request" ? result.answers : result.tokens) / seconds;
  const threads =
    before.target === null || after.target === null ? [] : sharesBetween(before.target, after.target);
  const values: Partial<Record<Metric, number>> = {
    perSecond,
    megabytesPerSecond: (perSecond * bodyBytes) / 1e6,
    errors: result.failures + result.not_200 + result.incomplete + result.stalled,
    ...latencies("", result.latency),
    ...latencies("lag", result.lag),
    ...latencies("first", result.first),
  };
  if (threads.length > 0) {
    // Shares of time on both sides: it does not matter that /proc was read a little late.
    values.cpuUs = (coresOf(threads) * 1e6) / perSecond;
    values.busiestPercent = threads[0]!.cores * 100;
  }
  return {
    values,
    threads,
    loadCores: coresOf(sharesBetween(before.load, after.load)),
    upstreamCores: coresOf(sharesBetween(before.upstream, after.upstream)),
  };
}

function latencies(
  of: "" | "lag" | "first",
  { count, p50, p99 }: Quantiles,
): Partial<Record<Metric, number>> {
  if (count === 0) return {};
  const [middle, high] = [p50 / 1000, p99 / 1000];
  if (of === "lag") return { lagP50Us: middle, lagP99Us: high };
  if (of === "first") return { firstP50Us: middle, firstP99Us: high };
  return { p50Us: middle, p99Us: high };
}

/** Adds what open streams cost: growth of memory since before they were there, for each of them. */
export function withStreamMemory(sample: Sample, before: Memory, after: Memory, streams: number): Sample {
  if (streams === 0) return sample;
  const streamKb = (after.pssBytes - before.pssBytes) / 1024 / streams;
  return { ...sample, values: { ...sample.values, streamKb } };
}

/** What the turns of a round say together: the middle of each value and share, the sum of the errors. */
export function sampleOfTurns(turns: readonly Sample[]): Sample {
  const middle = (of: (turn: Sample) => number) => median(turns.map(of)) ?? 0;
  const values: Partial<Record<Metric, number>> = {};
  const metrics = new Set(turns.flatMap((turn) => Object.keys(turn.values) as Metric[]));
  for (const metric of metrics) {
    const value = median(turns.flatMap((turn) => turn.values[metric] ?? []));
    if (value !== null) values[metric] = value;
  }
  // A middle would hide them.
  values.errors = turns.reduce((sum, turn) => sum + (turn.values.errors ?? 0), 0);
  const names = new Set(turns.flatMap(({ threads }) => threads.map(({ name }) => name)));
  const shareIn = ({ threads }: Sample, name: string) => threads.find((it) => it.name === name)?.cores ?? 0;
  const threads = [...names].map((name) => ({ name, cores: middle((turn) => shareIn(turn, name)) }));
  return {
    values,
    threads: threads.sort((a, b) => b.cores - a.cores),
    loadCores: middle(({ loadCores }) => loadCores),
    upstreamCores: middle(({ upstreamCores }) => upstreamCores),
  };
}

/** A start without load. */
export function startSample(firstAnswerNs: number, memory: Memory): Sample {
  const values = {
    firstAnswerMs: firstAnswerNs / 1e6,
    idleMb: memory.pssBytes / 2 ** 20,
    idleRssMb: memory.rssBytes / 2 ** 20,
    errors: 0,
  };
  return { values, threads: [], loadCores: 0, upstreamCores: 0 };
}
