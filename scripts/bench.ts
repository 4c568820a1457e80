// Measures llmproxyd beside other proxies on this machine: `npm run bench -- --help`.
import { availableParallelism } from "node:os";
import { join } from "node:path";

import { type BenchOptions, parseArguments } from "./bench/arguments.ts";
import { casesOf } from "./bench/cases.ts";
import { endChildren } from "./bench/children.ts";
import { beyondLimit, compareRows, type Comparison, formatComparison } from "./bench/comparison.ts";
import { describeMachine, type Machine, machineWarnings } from "./bench/machine.ts";
import { prepare } from "./bench/measure.ts";
import { formatMicro, type MicroResult, runMicro } from "./bench/micro.ts";
import { formatReport } from "./bench/report.ts";
import type { CaseResult } from "./bench/results.ts";
import { runCases } from "./bench/run-cases.ts";
import { type CaseSummary, summarize } from "./bench/summary.ts";
import { command } from "./bench/targets/command.ts";
import { haproxy } from "./bench/targets/haproxy.ts";
import { llmproxyd } from "./bench/targets/llmproxyd.ts";
import { nginx } from "./bench/targets/nginx.ts";
import { direct, type Target } from "./bench/targets/target.ts";
import { stopAllTools } from "./bench/tool.ts";
import { Workshop, WorkshopError } from "./bench/workshop.ts";

const OWN = "llmproxyd";
const HOW_TO_INSTALL = "Debian and Ubuntu: apt-get install nginx haproxy; Alpine: apk add nginx haproxy";

/** What is measured: all targets, those of them that are llmproxyd, and what ratios refer to. */
interface Field {
  readonly targets: readonly Target[];
  readonly own: readonly Target[];
  readonly baseline: string | null;
}

const say = (line: string) => void process.stderr.write(`${line}\n`);

/** All that a run gave, as it is written to the JSON file. */
interface Report {
  readonly format: 1;
  readonly date: string;
  readonly machine: Machine;
  readonly workers: number;
  readonly seconds: number;
  readonly options: BenchOptions;
  readonly versions: Readonly<Record<string, string>>;
  /** What ratios refer to. */
  readonly baseline: string | null;
  readonly cases: readonly CaseSummary[];
  readonly micro: readonly MicroResult[];
  readonly comparisons: readonly Comparison[];
}

async function bench(options: BenchOptions, workshop: Workshop): Promise<number> {
  const startMs = performance.now();
  const machine = describeMachine();
  for (const warning of machineWarnings(machine)) say(warning);
  const cases = casesOf(options.scenarios, options.quick);
  const workers = options.workers ?? availableParallelism();
  const field: Field =
    cases.length > 0 ? await fieldOf(options, workshop) : { targets: [], own: [], baseline: null };
  const tools = cases.length > 0 ? await workshop.tools() : "";
  const place = { tools, directory: join(workshop.directory, "run"), workers };
  const results = await runCases(
    (one, target) => prepare(place, one, target),
    cases,
    field.targets,
    field.own,
    options.rounds,
    say,
  );
  const comparisons =
    options.compare === null ? [] : compareRows(results, OWN, revisionName(options.compare));
  const report: Report = {
    format: 1,
    date: new Date().toISOString(),
    machine,
    workers,
    micro: options.scenarios.includes("g") ? await runMicro(options.quick, say) : [],
    seconds: Math.round((performance.now() - startMs) / 1000),
    options,
    versions: Object.fromEntries(field.targets.map(({ name, version }) => [name, version])),
    baseline: field.baseline,
    cases: summarize(results, field.baseline),
    comparisons,
  };
  print(report, results, field);
  if (options.json !== null) await Bun.write(options.json, `${JSON.stringify(report, null, 2)}\n`);
  return verdict(options, comparisons);
}

function print(report: Report, results: readonly CaseResult[], { own, baseline }: Field): void {
  const { machine, workers, versions, options, seconds, micro, comparisons } = report;
  const size = `${machine.cpus} CPUs, ${machine.memoryGb} GB`;
  console.log(`${machine.cpu}, ${size}, ${machine.kernel}, ${workers} workers; ${seconds} s in all`);
  for (const [name, version] of Object.entries(versions))
    if (version !== "") console.log(`${name}: ${version}`);
  if (results.length > 0) {
    const ratios =
      baseline === null ? "" : ` Ratios are to ${baseline}, taken round by round (lowest-highest).`;
    console.log(`Medians; rounds: ${options.rounds}.${ratios}\n`);
    const names = own.map(({ name }) => name);
    console.log(formatReport(results, baseline, names));
  }
  if (micro.length > 0) console.log(`\n${formatMicro(micro)}`);
  if (options.compare !== null) console.log(`\n${formatComparison(comparisons, options.compare)}`);
}

function verdict(options: BenchOptions, comparisons: readonly Comparison[]): number {
  if (options.limit === null) return 0;
  const beyond = beyondLimit(comparisons, options.limit);
  for (const { title } of beyond) say(`beyond the limit of ${options.limit}: ${title}`);
  return beyond.length > 0 ? 1 : 0;
}

async function fieldOf(options: BenchOptions, workshop: Workshop): Promise<Field> {
  say("building");
  const binary = options.binary === null ? await workshop.build() : workshop.adopt(options.binary);
  const own = [
    llmproxyd(OWN, binary, options.settings),
    ...options.variants.map(({ name, settings }) =>
      llmproxyd(name, binary, [...options.settings, ...settings]),
    ),
  ];
  if (options.compare !== null) {
    const name = revisionName(options.compare);
    const other = llmproxyd(name, await workshop.buildRevision(options.compare), options.settings);
    return { targets: [...own, other], own: [...own, other], baseline: name };
  }
  const installed = [nginx(), haproxy()].filter((peer) => peer !== null);
  if (installed.length < 2) say(`Not all peers are installed. ${HOW_TO_INSTALL}`);
  const peers = [...installed, ...options.peers.map(command)];
  return { targets: [direct, ...peers, ...own], own, baseline: peers[0]?.name ?? null };
}

function revisionName(revision: string): string {
  return `revision ${revision}`;
}

async function main(): Promise<number> {
  const parsed = parseArguments(process.argv.slice(2));
  if (parsed.kind !== "run") {
    (parsed.kind === "help" ? process.stdout : process.stderr).write(parsed.text);
    return parsed.kind === "help" ? 0 : 2;
  }
  if (process.platform !== "linux") {
    say("bench: needs Linux, as it reads /proc and waits with epoll.");
    return 2;
  }
  const workshop = new Workshop();
  let ending = false;
  const cleanUp = async () => {
    endChildren();
    await stopAllTools();
    workshop.close();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      // Ctrl-C comes twice where npm passes it on.
      if (ending) return;
      ending = true;
      say("interrupted; cleaning up");
      void cleanUp().finally(() => process.exit(130));
    });
  }
  try {
    return await bench(parsed.options, workshop);
  } catch (error) {
    // What fails while everything is being stopped is no news.
    if (ending) return await new Promise<never>(() => {});
    if (!(error instanceof WorkshopError)) throw error;
    say(`bench: ${error.message}`);
    return 1;
  } finally {
    if (!ending) await cleanUp();
  }
}

process.exit(await main());
