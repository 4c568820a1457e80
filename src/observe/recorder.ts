import { definitionOf, type MetricName } from "./definitions.ts";

/** Where a series of one worker stands in its row of cells; told once to the supervisor, which reads it. */
export interface SeriesNotice {
  readonly metric: MetricName;
  /** Values of the labels, in the order of the definition. */
  readonly values: readonly string[];
  /** The first of its cells. A histogram has one for each bucket, the infinite one, and one for the sum. */
  readonly cell: number;
}

/** A number that only grows. Hold on to it: adding is one write, finding it is not. */
export class Counter {
  private readonly cells: Float64Array;
  private readonly cell: number;

  constructor(cells: Float64Array, cell: number) {
    this.cells = cells;
    this.cell = cell;
  }

  add(count: number): void {
    this.cells[this.cell]! += count;
  }
}

/** How many of something there are now; what a worker has of them ends with it. */
export class Gauge {
  private readonly cells: Float64Array;
  private readonly cell: number;

  constructor(cells: Float64Array, cell: number) {
    this.cells = cells;
    this.cell = cell;
  }

  increase(): void {
    this.cells[this.cell]! += 1;
  }

  decrease(): void {
    this.cells[this.cell]! -= 1;
  }
}

/** Counts of observed values by size, and their sum. */
export class Histogram {
  private readonly cells: Float64Array;
  private readonly cell: number;
  private readonly buckets: readonly number[];

  constructor(cells: Float64Array, cell: number, buckets: readonly number[]) {
    this.cells = cells;
    this.cell = cell;
    this.buckets = buckets;
  }

  /** Takes in one value, in the unit of the metric (mostly seconds). */
  observe(value: number): void {
    const { cells, cell, buckets } = this;
    let bucket = 0;
    while (bucket < buckets.length && value > buckets[bucket]!) bucket++;
    cells[cell + bucket]! += 1;
    cells[cell + buckets.length + 1]! += value;
  }
}

/** Cells that a series takes. */
export function cellsOf(metric: MetricName): number {
  const { buckets } = definitionOf(metric);
  return buckets === undefined ? 1 : buckets.length + 2;
}

/**
 * Takes the cells of one worker into use. A series that no longer fits is counted as dropped, and what is counted in
 * it goes to cells that nobody reads. Label values must come from bounded sets, so that this cannot be provoked.
 */
export class Recorder {
  private readonly cells: Float64Array;
  private readonly announce: (notices: readonly SeriesNotice[]) => void;
  private readonly found = new Map<string, Counter | Gauge | Histogram>();
  private readonly dropped: Counter;
  private used = 0;
  /** Notices not yet told: what is looked up in one turn is told in one message. */
  private untold: SeriesNotice[] = [];

  /** `announce` gets each series once, some time after it was first asked for. */
  constructor(cells: Float64Array, announce: (notices: readonly SeriesNotice[]) => void) {
    this.cells = cells;
    this.announce = announce;
    this.dropped = this.counter("llmproxy_metrics_dropped_series_total");
  }

  /** The counter with these label values, in the order of its definition. */
  counter(metric: MetricName, ...values: string[]): Counter {
    return this.find(metric, values, (cells, cell) => new Counter(cells, cell)) as Counter;
  }

  gauge(metric: MetricName, ...values: string[]): Gauge {
    return this.find(metric, values, (cells, cell) => new Gauge(cells, cell)) as Gauge;
  }

  histogram(metric: MetricName, ...values: string[]): Histogram {
    const { buckets = [] } = definitionOf(metric);
    return this.find(metric, values, (cells, cell) => new Histogram(cells, cell, buckets)) as Histogram;
  }

  /** Cells not yet in use. */
  get room(): number {
    return this.cells.length - this.used;
  }

  private find(
    metric: MetricName,
    values: readonly string[],
    make: (cells: Float64Array, cell: number) => Counter | Gauge | Histogram,
  ): Counter | Gauge | Histogram {
    const key = `${metric}\n${values.join("\n")}`;
    const known = this.found.get(key);
    if (known !== undefined) return known;
    const length = cellsOf(metric);
    if (length > this.room) {
      // Not remembered: what does not fit must not fill this map instead.
      this.dropped.add(1);
      return make(new Float64Array(length), 0);
    }
    const series = make(this.cells, this.used);
    this.tell({ metric, values, cell: this.used });
    this.used += length;
    this.found.set(key, series);
    return series;
  }

  private tell(notice: SeriesNotice): void {
    this.untold.push(notice);
    if (this.untold.length > 1) return;
    queueMicrotask(() => {
      const notices = this.untold;
      this.untold = [];
      this.announce(notices);
    });
  }
}
