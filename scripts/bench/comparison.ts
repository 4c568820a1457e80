import { type CaseResult, rowOf } from "./results.ts";
import type { Metric } from "./sample.ts";
import { pairwise, present, type Spread, spreadOf } from "./statistics.ts";
import { formatTable } from "./table.ts";

/** How this tree stands to the other revision in one case: ratios, below 1 = this tree takes less. */
export interface Comparison {
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  readonly cpu: Spread | null;
  readonly rate: Spread | null;
  /** Rounds in which both were measured. */
  readonly rounds: number;
}

/** Compares two rows of each case round by round, so that what disturbs both cancels out. */
export function compareRows(results: readonly CaseResult[], ours: string, theirs: string): Comparison[] {
  return results.flatMap((result) => {
    const [own, other] = [rowOf(result, ours), rowOf(result, theirs)];
    if (result.of.kind !== "load" || own === null || other === null) return [];
    const ratios = (metric: Metric) => {
      const of = (row: typeof own) => row.samples.map((sample) => sample?.values[metric] ?? null);
      return present(pairwise(of(own), of(other), (a, b) => a / b));
    };
    const cpu = ratios("cpuUs");
    return [
      {
        key: result.of.key,
        title: result.of.title,
        unit: result.of.unit,
        cpu: spreadOf(cpu),
        rate: spreadOf(ratios("perSecond")),
        rounds: cpu.length,
      },
    ];
  });
}

export function formatComparison(comparisons: readonly Comparison[], revision: string): string {
  const cell = (spread: Spread | null) =>
    spread === null ? "-" : `${spread.median.toFixed(3)} (${spread.min.toFixed(3)}-${spread.max.toFixed(3)})`;
  const rows = comparisons.map(({ title, unit, cpu, rate, rounds }) => [
    title,
    `CPU/${unit}`,
    cell(cpu),
    cell(rate),
    String(rounds),
  ]);
  const head = ["", "", "CPU ratio", "rate ratio", "rounds"];
  return `This tree against ${revision}: median (lowest-highest) of the rounds' ratios\n${formatTable(head, rows)}`;
}

/** The cases whose CPU grew beyond the limit, or could not be compared. */
export function beyondLimit(comparisons: readonly Comparison[], limit: number): Comparison[] {
  return comparisons.filter(({ cpu }) => cpu === null || cpu.median > limit);
}
