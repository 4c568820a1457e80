import type { LoadCase } from "./cases.ts";
import { type CaseResult, cellOf, type Row } from "./results.ts";
import type { Sample } from "./sample.ts";
import { median, present, spreadOf } from "./statistics.ts";
import { formatNumber, formatTable } from "./table.ts";
import { COMPILER_SHARE_HIGH, compilerShare } from "./warming.ts";

const NOTHING = "-";
/** From here on a tool of one thread may be what limits the throughput. */
const TOOL_CORES_HIGH = 0.9;
/** A thread below it is of no interest to a reader. */
const THREAD_SHARE_MIN = 0.02;

/** The tables of all cases. `baseline`: what ratios refer to. `detailed`: whose threads get a table. */
export function formatReport(
  results: readonly CaseResult[],
  baseline: string | null,
  detailed: readonly string[],
): string {
  const growth = results.filter(({ of }) => of.shape !== null);
  const others = results.filter(({ of }) => of.shape === null);
  return [
    ...others.map((result) => formatCase(result, baseline)),
    ...(growth.length === 0 ? [] : [formatGrowth(growth)]),
    formatThreads(results, detailed),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function formatCase(result: CaseResult, baseline: string | null): string {
  const { of } = result;
  const head = ["", ...of.columns.map(({ title }) => title)];
  const rows = result.rows.map((row) => [row.target, ...cells(result, row, baseline)]);
  const notes = notesOf(result);
  const text = `(${of.scenario}) ${of.title}\n${formatTable(head, rows)}`;
  return notes.length === 0 ? text : `${text}\n${notes.join("\n")}`;
}

function cells(result: CaseResult, row: Row, baseline: string | null): string[] {
  return result.of.columns.map((column) => {
    const values = present(cellOf(result, row, column, baseline));
    // Errors add up; a median would hide them.
    if (column.metric === "errors") return String(values.reduce((sum, value) => sum + value, 0));
    const spread = spreadOf(values);
    if (spread === null) return NOTHING;
    if (!column.view.endsWith("ratio")) return formatNumber(spread.median);
    const range = values.length > 1 ? ` (${spread.min.toFixed(2)}-${spread.max.toFixed(2)})` : "";
    return `${spread.median.toFixed(2)} x${range}`;
  });
}

/** What a reader must know to judge the numbers. */
function notesOf({ rows }: CaseResult): string[] {
  return rows.flatMap(({ target, samples }) => {
    const good = samples.filter((sample) => sample !== null);
    const middle = (of: (sample: Sample) => number) => median(good.map(of)) ?? 0;
    const notes: string[] = [];
    if (good.length < samples.length)
      notes.push(`failed in ${samples.length - good.length} of ${samples.length} rounds`);
    if (middle(({ loadCores }) => loadCores) > TOOL_CORES_HIGH)
      notes.push("the load tool itself was at its limit, so it may be faster than shown");
    if (middle(({ upstreamCores }) => upstreamCores) > TOOL_CORES_HIGH)
      notes.push("the upstream itself was at its limit, so it may be faster than shown");
    const compiling = middle(({ threads }) => compilerShare(threads));
    if (compiling > COMPILER_SHARE_HIGH)
      notes.push(
        `its just-in-time compiler still took ${(100 * compiling).toFixed(0)} % of its CPU: not warm yet`,
      );
    return notes.map((note) => `  ${target}: ${note}`);
  });
}

/** Cases of one target each: one table, a row for each case. */
function formatGrowth(results: readonly CaseResult[]): string {
  const columns = results[0]!.of.columns.filter(({ view }) => view === "value");
  const rows = results.flatMap((result) =>
    result.rows.map((row) => [
      `${result.of.title.replace(/^growth: /, "")}${result.rows.length > 1 ? `, ${row.target}` : ""}`,
      ...cells({ ...result, of: { ...result.of, columns } }, row, null),
    ]),
  );
  const table = formatTable(["", ...columns.map(({ title }) => title)], rows);
  const notes = results.flatMap((result) => notesOf(result).map((note) => `${note} (${result.of.key})`));
  return ["(h) how the cost grows", table, ...notes].join("\n");
}

/** Which thread would be full first, and at which rate, if it grew in proportion. */
function formatThreads(results: readonly CaseResult[], detailed: readonly string[]): string {
  const rows: string[][] = [];
  for (const { of, rows: targets } of results) {
    if (of.kind !== "load") continue;
    for (const row of targets) {
      if (detailed.includes(row.target)) rows.push(...threadRows(of, row));
    }
  }
  if (rows.length === 0) return "";
  const head = ["case", "target", "thread", "% of a core", "CPU us/piece", "full at pieces/s"];
  return `Threads (a piece is a request, or a token of a stream)\n${formatTable(head, rows)}`;
}

function threadRows(of: LoadCase, row: Row): string[][] {
  const samples = row.samples.filter((sample) => sample !== null);
  const perSecond = median(samples.map(({ values }) => values.perSecond ?? 0)) ?? 0;
  const names = new Set(samples.flatMap(({ threads }) => threads.map(({ name }) => name)));
  const threads = [...names].map((name) => ({
    name,
    cores: median(samples.map((sample) => sample.threads.find((it) => it.name === name)?.cores ?? 0)) ?? 0,
  }));
  return threads
    .filter(({ cores }) => cores >= THREAD_SHARE_MIN)
    .sort((a, b) => b.cores - a.cores)
    .map(({ name, cores }) => [
      of.key,
      row.target,
      name,
      formatNumber(100 * cores),
      formatNumber((cores * 1e6) / perSecond),
      formatNumber(perSecond / cores),
    ]);
}
