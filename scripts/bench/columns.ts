import type { Metric, Unit } from "./sample.ts";

/**
 * What a column shows of each target: the value itself; what it adds to the direct run; either of them as a
 * ratio to the baseline.
 */
export type View = "value" | "added" | "ratio" | "added-ratio";

export interface Column {
  readonly title: string;
  readonly metric: Metric;
  readonly view: View;
}

const value = (title: string, metric: Metric): Column => ({ title, metric, view: "value" });
const ratio = (metric: Metric): Column => ({ title: "ratio", metric, view: "ratio" });
const addedRatio = (metric: Metric): Column => ({ title: "ratio", metric, view: "added-ratio" });
const added = (title: string, metric: Metric): Column => ({ title, metric, view: "added" });
const cpu = (unit: Unit): Column[] => [value(`CPU us/${unit}`, "cpuUs"), ratio("cpuUs")];
const closing: Column[] = [value("busiest thread %", "busiestPercent"), value("errors", "errors")];
const latency: Column[] = [value("p50 us", "p50Us"), value("p99 us", "p99Us")];

export const CLOSED_COLUMNS = [
  value("requests/s", "perSecond"),
  ratio("perSecond"),
  ...latency,
  ...cpu("request"),
  ...closing,
];
export const OPEN_COLUMNS = [
  value("requests/s", "perSecond"),
  ...latency,
  added("added p50", "p50Us"),
  added("added p99", "p99Us"),
  ...cpu("request"),
  ...closing,
];
export const STREAM_COLUMNS = [
  value("tokens/s", "perSecond"),
  ...cpu("token"),
  value("delay p50 us", "lagP50Us"),
  added("added p50", "lagP50Us"),
  addedRatio("lagP50Us"),
  // The ratio of the whole, too: what one p99 has over another is no p99 of anything, and changes much between rounds.
  value("delay p99 us", "lagP99Us"),
  ratio("lagP99Us"),
  added("added p99", "lagP99Us"),
  addedRatio("lagP99Us"),
  added("added first p50", "firstP50Us"),
  ...closing,
];
export const BODY_COLUMNS = [
  value("requests/s", "perSecond"),
  ratio("perSecond"),
  value("MB/s", "megabytesPerSecond"),
  ...latency,
  ...cpu("request"),
  ...closing,
];
export const SLOW_COLUMNS = [
  value("KB/stream", "streamKb"),
  ratio("streamKb"),
  value("tokens/s", "perSecond"),
  ...cpu("token"),
  value("delay p99 us", "lagP99Us"),
  ...closing,
];
export const START_COLUMNS = [
  value("first answer ms", "firstAnswerMs"),
  ratio("firstAnswerMs"),
  value("idle MB", "idleMb"),
  ratio("idleMb"),
  value("idle RSS MB", "idleRssMb"),
  value("errors", "errors"),
];
