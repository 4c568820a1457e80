import type { View } from "./columns.ts";
import { type CaseResult, cellOf, type Row } from "./results.ts";
import type { Metric, Sample } from "./sample.ts";
import { present, type Spread, spreadOf } from "./statistics.ts";

/** One column of one row, as in the table. */
export interface CellSummary {
  readonly metric: Metric;
  readonly view: View;
  /** Null: there is nothing to show. */
  readonly spread: Spread | null;
}

export interface RowSummary {
  readonly target: string;
  readonly cells: readonly CellSummary[];
  /** What each round gave; null where it failed. */
  readonly rounds: readonly (Sample | null)[];
}

/** One case, for the JSON file. */
export interface CaseSummary {
  readonly scenario: string;
  readonly key: string;
  readonly title: string;
  readonly rows: readonly RowSummary[];
}

/** All that was measured, with the medians and ratios of the tables; plain data. */
export function summarize(results: readonly CaseResult[], baseline: string | null): CaseSummary[] {
  return results.map((result) => ({
    scenario: result.of.scenario,
    key: result.of.key,
    title: result.of.title,
    rows: result.rows.map((row) => summarizeRow(result, row, baseline)),
  }));
}

function summarizeRow(result: CaseResult, row: Row, baseline: string | null): RowSummary {
  const cells = result.of.columns.map((column) => ({
    metric: column.metric,
    view: column.view,
    spread: spreadOf(present(cellOf(result, row, column, baseline))),
  }));
  return { target: row.target, cells, rounds: row.samples };
}
