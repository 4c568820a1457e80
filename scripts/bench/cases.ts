import type { ScenarioId } from "./arguments.ts";
import {
  BODY_COLUMNS,
  CLOSED_COLUMNS,
  type Column,
  OPEN_COLUMNS,
  SLOW_COLUMNS,
  START_COLUMNS,
  STREAM_COLUMNS,
} from "./columns.ts";
import type { Unit } from "./sample.ts";
import type { Shape } from "./targets/target.ts";

/** How the load behaves; see tools/load.c. */
export type Load =
  | { readonly mode: "closed" }
  | { readonly mode: "open"; readonly requestsPerSecond: number }
  | {
      readonly mode: "streams";
      readonly rampMs: number;
      readonly stallMs: number;
      /** How long a stream is, in place of what the upstream would send. */
      readonly tokens?: number;
    };

/** What the upstream answers; see tools/upstream.c. */
export type Answers = { readonly kind: "json" } | StreamedAnswers;

interface StreamedAnswers {
  readonly kind: "sse";
  readonly tokens: number;
  readonly intervalUs: number;
}

interface CaseBase {
  readonly scenario: ScenarioId;
  /** Short, unique, for files. */
  readonly key: string;
  readonly title: string;
  readonly columns: readonly Column[];
  /** Only llmproxyd, in that shape; null = all targets. */
  readonly shape: Shape | null;
  /** How often each target is measured in a round, in turn with the others. */
  readonly turns: number;
}

/**
 * How long a load is on before anything is measured: `minMs`, and where the target has a just-in-time compiler until that
 * has come to rest, or `maxMs`.
 */
export interface Wait {
  readonly minMs: number;
  readonly maxMs: number;
}

/** A load before the first turn. */
export interface Warming {
  readonly connections: number;
  readonly load: Load;
  readonly wait: Wait;
}

/** A load on a target. */
export interface LoadCase extends CaseBase {
  readonly kind: "load";
  readonly unit: Unit;
  readonly connections: number;
  readonly bodyBytes: number;
  readonly load: Load;
  readonly answers: Answers;
  readonly warming: Warming | null;
  /** Of the load that is measured. */
  readonly settling: Wait;
  readonly measureMs: number;
  /** Measure memory too; that takes a second, smaller load before the real one. */
  readonly memory: boolean;
}

/** A start without a load. */
export interface StartCase extends CaseBase {
  readonly kind: "start";
  readonly idleMs: number;
}

export type Case = LoadCase | StartCase;

/** Whether the memory of servers is measured, which a direct run has none of. */
export function isOfMemory(one: Case): boolean {
  return one.kind === "start" || one.memory;
}

const BODY_BYTES = 256;
const MEGABYTE = 1_000_000;
const REQUESTS_PER_SECOND = 5_000;
const OPEN_CONNECTIONS_MAX = 512;
const INTERVAL_US = 20_000;
/**
 * Short streams: what runs once in a stream is compiled for good only when some thousand have been served, which
 * takes two minutes with those that are measured.
 */
const WARM_TOKENS = 10;
const WARM_STREAMS = 200;
const SLOW_TOKENS: StreamedAnswers = { kind: "sse", tokens: 10_000, intervalUs: 2_000_000 };
/** As long as their interval, so that their tokens do not come in waves. */
const SLOW_RAMP_MS = 2_000;
const BODY_BYTES_GROWTH = [256, 4_096, 65_536, MEGABYTE];

/** How long things take. */
interface Pace {
  readonly warmingWait: Wait;
  readonly settleMs: number;
  readonly turns: number;
  readonly measureMs: number;
  /** Streams open spread over this time. */
  readonly rampMs: number;
  /** Streams are this long, so that some end and others begin while it is measured. */
  readonly tokens: number;
  readonly idleMs: number;
}

const PACE: Pace = {
  warmingWait: { minMs: 1_000, maxMs: 40_000 },
  settleMs: 500,
  turns: 3,
  measureMs: 3_000,
  rampMs: 1_000,
  tokens: 100,
  idleMs: 2_000,
};
const PACE_QUICK: Pace = {
  warmingWait: { minMs: 300, maxMs: 5_000 },
  settleMs: 200,
  turns: 1,
  measureMs: 900,
  rampMs: 300,
  tokens: 50,
  idleMs: 500,
};

/** The measurements of these scenarios, in order; `g` has none, as it is not about a server. */
export function casesOf(scenarios: readonly ScenarioId[], quick: boolean): Case[] {
  const pace = quick ? PACE_QUICK : PACE;
  const all = [
    ...[32, 256].map((connections) => completions(pace, connections)),
    openLoop(pace),
    ...(quick ? [200] : [200, 1_000]).map((streams) => eventStreams(pace, streams)),
    slowStreams(pace),
    bodies(pace),
    start(pace),
    ...growth(pace),
  ];
  return all.filter((one) => scenarios.includes(one.scenario));
}

function completions(pace: Pace, connections: number): LoadCase {
  return {
    kind: "load",
    scenario: "a",
    key: `json-${connections}`,
    title: `small JSON completions, ${connections} connections, closed loop`,
    columns: CLOSED_COLUMNS,
    shape: null,
    turns: pace.turns,
    unit: "request",
    connections,
    bodyBytes: BODY_BYTES,
    ...underLoad({ mode: "closed" }, connections, pace),
    answers: { kind: "json" },
    measureMs: pace.measureMs,
    memory: false,
  };
}

/** A load that its target is warmed by, too. */
function underLoad(
  load: Load,
  connections: number,
  { warmingWait, settleMs }: Pace,
): Pick<LoadCase, "load" | "warming" | "settling"> {
  return {
    load,
    warming: { connections, load, wait: warmingWait },
    settling: exactly(settleMs),
  };
}

function exactly(ms: number): Wait {
  return { minMs: ms, maxMs: ms };
}

function openLoop(pace: Pace): LoadCase {
  return {
    ...completions(pace, OPEN_CONNECTIONS_MAX),
    scenario: "b",
    key: "json-open",
    title: "small JSON completions, 5,000 requests/s, open loop",
    columns: OPEN_COLUMNS,
    ...underLoad({ mode: "open", requestsPerSecond: REQUESTS_PER_SECOND }, OPEN_CONNECTIONS_MAX, pace),
  };
}

function eventStreams(pace: Pace, streams: number): LoadCase {
  const load: Load = { mode: "streams", rampMs: pace.rampMs, stallMs: 3_000 };
  return {
    ...completions(pace, streams),
    scenario: "c",
    key: `streams-${streams}`,
    title: `${streams.toLocaleString("en")} event streams of 50 tokens/s`,
    columns: STREAM_COLUMNS,
    unit: "token",
    load,
    answers: { kind: "sse", tokens: pace.tokens, intervalUs: INTERVAL_US },
    warming: { connections: WARM_STREAMS, load: { ...load, tokens: WARM_TOKENS }, wait: pace.warmingWait },
    settling: exactly(pace.rampMs + pace.settleMs),
  };
}

function slowStreams(pace: Pace): LoadCase {
  const { minMs, maxMs } = pace.warmingWait;
  return {
    ...eventStreams(pace, 5_000),
    scenario: "d",
    key: "slow-streams",
    title: "5,000 event streams of one token in 2 s",
    columns: SLOW_COLUMNS,
    turns: 1,
    load: { mode: "streams", rampMs: SLOW_RAMP_MS, stallMs: 6_000 },
    answers: SLOW_TOKENS,
    warming: null,
    settling: { minMs: SLOW_RAMP_MS + minMs, maxMs: SLOW_RAMP_MS + maxMs },
    memory: true,
  };
}

function bodies(pace: Pace): LoadCase {
  return {
    ...completions(pace, 16),
    scenario: "e",
    key: "bodies-1mb",
    title: "request bodies of 1 MB, 16 connections, closed loop",
    columns: BODY_COLUMNS,
    bodyBytes: MEGABYTE,
  };
}

function start(pace: Pace): StartCase {
  return {
    kind: "start",
    scenario: "f",
    key: "start",
    title: "from exec to the first answer; memory when idle",
    columns: START_COLUMNS,
    shape: null,
    turns: 1,
    idleMs: pace.idleMs,
  };
}

/** One thing grows, the rest stays; the first of each row is the same. */
function growth(pace: Pace): LoadCase[] {
  const none: Shape = { upstreams: 1, forwards: 1, workers: null };
  const shaped = (key: string, title: string, shape: Shape): LoadCase => ({
    ...completions(pace, 32),
    scenario: "h",
    key: `growth-${key}`,
    title: `growth: ${title}`,
    shape,
  });
  return [
    ...[1, 10, 100].map((upstreams) =>
      shaped(`upstreams-${upstreams}`, `upstreams in the group: ${upstreams}`, { ...none, upstreams }),
    ),
    ...[1, 50].map((forwards) =>
      shaped(`forwards-${forwards}`, `forwards: ${forwards}`, { ...none, forwards }),
    ),
    ...[1, 2, 4, 8].map((workers) =>
      shaped(`workers-${workers}`, `workers: ${workers}`, { ...none, workers }),
    ),
    ...BODY_BYTES_GROWTH.map((bytes) => ({
      ...shaped(`bodies-${bytes}`, `bytes of a request body: ${bytes.toLocaleString("en")}`, none),
      bodyBytes: bytes,
    })),
  ];
}
