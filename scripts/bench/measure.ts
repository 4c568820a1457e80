import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import type { Answers, Case, Load, LoadCase, StartCase } from "./cases.ts";
import { type Memory, memoryOf, usageOf } from "./procfs.ts";
import { type LoadResult, type Sample, sampleOf, startSample, withStreamMemory } from "./sample.ts";
import { CLIENT_KEY, type Target, UPSTREAM_KEY } from "./targets/target.ts";
import { Tool } from "./tool.ts";
import { untilFast } from "./warming.ts";

/** Where the tools are, and what all measurements have in common. */
export interface Bench {
  /** A directory with the executables `upstream`, `load` and `launch`. */
  readonly tools: string;
  /** A directory for whatever the servers need; each gets its own below it. */
  readonly directory: string;
  readonly workers: number;
}

/** A server under test; `port` leads to it, or straight to the upstream. */
interface Served {
  readonly port: number;
  readonly key: string;
  /** Root of its process tree, or null. */
  readonly pid: number | null;
  readonly firstAnswerNs: number;
}

const START_LIMIT_MS = 30_000;
const LATE_MS = 15_000;
const CONNECTIONS_SPARE = 512;
const TOKEN_BYTES = 40;
const THINK_US = 10_000;
const FIRST_STREAMS = 100;
const FIRST_STREAMS_MS = 1_000;
const FIRST_LOAD: Load = { mode: "streams", rampMs: 500, stallMs: 10_000 };
const CLOSING_MS = 200;
const WORKERS_MS = 300;

/** A target that is up, with processes of its own. */
export interface Subject {
  /** Measures it once. Throws a ToolError when something fails. */
  measure(): Promise<Sample>;
  stop(): Promise<void>;
}

/** Starts a target and makes it ready to be measured. Throws a ToolError when something fails. */
export async function prepare(bench: Bench, one: Case, target: Target): Promise<Subject> {
  const tools: Tool[] = [];
  const begin: Begin = (name, ...args) => {
    const tool = new Tool(`${target.name}: ${name}`, [join(bench.tools, name), ...args.map(String)]);
    tools.push(tool);
    return tool;
  };
  const stop = async () => {
    // The last one first: a server without its clients stops at once.
    for (const tool of tools.splice(0).reverse()) await tool.stop();
  };
  try {
    const measure =
      one.kind === "load"
        ? await prepareLoad(bench, one, target, begin)
        : await prepareStart(bench, one, target, begin);
    return { measure, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts one of the tools; it is stopped with its subject at the latest. */
type Begin = (name: "upstream" | "load" | "launch", ...args: readonly (string | number)[]) => Tool;
type Measure = () => Promise<Sample>;

async function prepareLoad(bench: Bench, one: LoadCase, target: Target, begin: Begin): Promise<Measure> {
  const upstream = await startUpstream(one.answers, begin);
  const served = await serve(bench, one, target, upstream.port, begin);
  if (one.warming !== null) {
    const { connections, load, wait } = one.warming;
    const warmer = begin("load", ...loadArguments(one, served, connections, load));
    await untilFast(target, served.pid, wait);
    if (warmer.hasEnded) throw warmer.failure("ended before its target was warm");
    await warmer.stop();
  }
  return async () => {
    const idleMemory = one.memory && served.pid !== null ? await warmMemory(one, served, begin) : null;
    const load = begin("load", ...loadArguments(one, served, one.connections, one.load));
    try {
      await untilFast(target, served.pid, one.settling);
      return await measureLoad(one, load, served, upstream.tool, idleMemory);
    } finally {
      await load.stop();
    }
  };
}

/** Measures a target while the load is on it. `idleMemory`: what it took before, if that is of interest. */
async function measureLoad(
  one: LoadCase,
  load: Tool,
  served: Served,
  upstream: Tool,
  idleMemory: Memory | null,
): Promise<Sample> {
  const usage = () => ({
    target: served.pid === null ? null : usageOf(served.pid),
    load: usageOf(load.pid),
    upstream: usageOf(upstream.pid),
  });
  load.tell("begin");
  await load.line(LATE_MS);
  const before = usage();
  const result = (await load.json(one.measureMs + LATE_MS)) as unknown as LoadResult;
  const after = usage();
  if (result.answers === 0 && result.tokens === 0) throw load.failure("got no answer at all");

  const sample = sampleOf(result, one.unit, one.bodyBytes, before, after);
  if (idleMemory === null || served.pid === null) return sample;
  return withStreamMemory(sample, idleMemory, memoryOf(served.pid), result.open);
}

async function prepareStart(bench: Bench, one: StartCase, target: Target, begin: Begin): Promise<Measure> {
  const upstream = await startUpstream({ kind: "json" }, begin);
  const { pid, firstAnswerNs } = await serve(bench, one, target, upstream.port, begin);
  if (pid === null) throw new Error("a direct run has no start to measure");
  await Bun.sleep(one.idleMs);
  return async () => startSample(firstAnswerNs, memoryOf(pid));
}

async function startUpstream(answers: Answers, begin: Begin): Promise<{ tool: Tool; port: number }> {
  const tool =
    answers.kind === "json"
      ? begin("upstream", "json")
      : begin("upstream", "sse", answers.tokens, answers.intervalUs, THINK_US, TOKEN_BYTES);
  const { port } = await tool.json(LATE_MS);
  return { tool, port: Number(port) };
}

let directories = 0;

async function serve(
  bench: Bench,
  one: Case,
  target: Target,
  upstreamPort: number,
  begin: Begin,
): Promise<Served> {
  const directory = join(bench.directory, `run-${++directories}`);
  const port = unusedPort();
  const connections = CONNECTIONS_SPARE + (one.kind === "load" ? one.connections : 0);
  const launch = target.launch({
    port,
    upstreamPort,
    directory,
    workers: bench.workers,
    connections,
    shape: one.shape,
  });
  if (launch === null) return { port: upstreamPort, key: UPSTREAM_KEY, pid: null, firstAnswerNs: 0 };

  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(launch.files)) {
    const file = join(directory, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const keeper = begin("launch", port, START_LIMIT_MS, ...launch.argv);
  const { pid } = await keeper.json(LATE_MS);
  const { first_answer: firstAnswerNs, exited } = await keeper.json(START_LIMIT_MS + LATE_MS);
  if (exited !== undefined) throw keeper.failure(`could not be started: status ${String(exited)}`);
  if (firstAnswerNs === undefined) throw keeper.failure(`gave no answer within ${START_LIMIT_MS} ms`);
  // The first worker answers before the last one listens, and a connection stays where it was accepted.
  await Bun.sleep(WORKERS_MS);
  return { port, key: CLIENT_KEY, pid: Number(pid), firstAnswerNs: Number(firstAnswerNs) };
}

/** Memory after some streams have been there and gone: what is left to grow is what streams need. */
async function warmMemory(one: LoadCase, served: Served, begin: Begin): Promise<Memory> {
  const load = begin("load", ...loadArguments(one, served, FIRST_STREAMS, FIRST_LOAD));
  await Bun.sleep(FIRST_STREAMS_MS);
  await load.stop();
  await Bun.sleep(CLOSING_MS);
  return memoryOf(served.pid!);
}

function loadArguments(one: LoadCase, served: Served, connections: number, load: Load): (string | number)[] {
  const common = [load.mode, served.port, served.key, connections, one.bodyBytes, one.measureMs];
  switch (load.mode) {
    case "closed":
      return common;
    case "open":
      return [...common, load.requestsPerSecond];
    case "streams":
      return [...common, load.rampMs, load.stallMs, load.tokens ?? 0];
  }
}

const PORT_MIN = 15_000;
const PORT_TRIES = 100;

/** A port that nothing listens on, below those that the system gives to outgoing connections. */
function unusedPort(): number {
  for (let i = 0; i < PORT_TRIES; i++) {
    const port = PORT_MIN + Math.floor(Math.random() * (32_768 - PORT_MIN));
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
      return port;
    } catch {
      // Taken; try another one.
    }
  }
  throw new Error("found no port to listen on");
}
