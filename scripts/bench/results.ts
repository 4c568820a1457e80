import type { Case } from "./cases.ts";
import type { Column } from "./columns.ts";
import type { Metric, Sample } from "./sample.ts";
import { pairwise, type Rounds } from "./statistics.ts";

/** What one target gave in each round; null where it failed. */
export interface Row {
  readonly target: string;
  readonly samples: readonly (Sample | null)[];
}

/** One case, measured. */
export interface CaseResult {
  readonly of: Case;
  readonly rows: readonly Row[];
}

export function rowOf(result: CaseResult, target: string): Row | null {
  return result.rows.find((row) => row.target === target) ?? null;
}

function metricOf(row: Row | null, metric: Metric): Rounds {
  return row === null ? [] : row.samples.map((sample) => sample?.values[metric] ?? null);
}

/**
 * What a column shows of a row, round by round. Differences to the direct run and ratios to the baseline are
 * taken within each round. Where the row is itself the reference there is nothing to show.
 */
export function cellOf(result: CaseResult, row: Row, column: Column, baseline: string | null): Rounds {
  const reference = baseline === null ? null : rowOf(result, baseline);
  switch (column.view) {
    case "value":
      return metricOf(row, column.metric);
    case "added":
      return addedBy(result, row, column.metric);
    case "ratio":
      if (row === reference) return [];
      return pairwise(metricOf(row, column.metric), metricOf(reference, column.metric), (a, b) => a / b);
    case "added-ratio": {
      if (row === reference || reference === null) return [];
      const own = addedBy(result, row, column.metric);
      // Where the baseline adds next to nothing, or less, the quotient says nothing.
      return pairwise(own, addedBy(result, reference, column.metric), (a, b) => (b > 0 ? a / b : Number.NaN));
    }
  }
}

function addedBy(result: CaseResult, row: Row, metric: Metric): Rounds {
  const straight = rowOf(result, "direct");
  if (row === straight) return [];
  return pairwise(metricOf(row, metric), metricOf(straight, metric), (a, b) => a - b);
}
