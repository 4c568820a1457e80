import type { SeriesCells } from "../memory/series-cells.ts";
import { definitionOf, type MetricName } from "./definitions.ts";
import { Exposition } from "./exposition.ts";
import { ModelNames } from "./model-names.ts";
import { cellsOf, type SeriesNotice } from "./recorder.ts";

/** Adds one number to the series of a metric with these label values, in the order of the definition. */
export type AddSample = (metric: MetricName, values: readonly string[], value: number) => void;

/** Tells numbers that are read when they are asked for: states, and what the supervisor counts itself. */
export type SampleSource = (add: AddSample) => void;

/** One series, wherever it is counted. */
interface Series {
  readonly metric: MetricName;
  readonly values: readonly string[];
  /** What workers that have ended had counted. */
  readonly kept: Float64Array;
  /** Where workers count it now. Two cells of one worker are the same series where both stand for other models. */
  places: { readonly worker: number; readonly cell: number }[];
}

/** The supervisor's side of the metrics: knows which cell of which worker is what, and adds them up. */
export class Board {
  private readonly rows: SeriesCells;
  private readonly series = new Map<string, Series>();
  private readonly sources: SampleSource[] = [];
  /** Each worker bounds the models that it names, and so the process names no more than one of them may. */
  private readonly models = new ModelNames();

  constructor(rows: SeriesCells) {
    this.rows = rows;
  }

  /** Takes in where a worker counts what. */
  take(worker: number, notices: readonly SeriesNotice[]): void {
    for (const notice of notices) this.seriesOf(notice).places.push({ worker, cell: notice.cell });
  }

  /** Adds a source; it is asked at each `render`. */
  addSource(source: SampleSource): void {
    this.sources.push(source);
  }

  /** Keeps what a worker that has ended had counted, and empties its cells for the one that replaces it. */
  retire(worker: number): void {
    const row = this.rows.row(worker);
    for (const series of this.series.values()) {
      const ended = series.places.filter((place) => place.worker === worker);
      if (ended.length === 0) continue;
      series.places = series.places.filter((place) => place.worker !== worker);
      // What there was of something in a worker has ended with it.
      if (definitionOf(series.metric).type === "gauge") continue;
      for (const { cell } of ended) addUp(series.kept, row, cell);
    }
    row.fill(0);
  }

  /** All series in the text format 0.0.4 of Prometheus. */
  render(): string {
    const exposition = new Exposition();
    for (const { metric, values, kept, places } of this.series.values()) {
      const sum = Float64Array.from(kept);
      for (const { worker, cell } of places) addUp(sum, this.rows.row(worker), cell);
      exposition.add(metric, values, sum);
    }
    for (const source of this.sources)
      source((metric, values, value) => exposition.add(metric, values, [value]));
    return exposition.text();
  }

  private seriesOf({ metric, values }: SeriesNotice): Series {
    const bounded = this.boundModels(metric, values);
    const key = `${metric}\n${bounded.join("\n")}`;
    let series = this.series.get(key);
    if (series === undefined) {
      series = { metric, values: bounded, kept: new Float64Array(cellsOf(metric)), places: [] };
      this.series.set(key, series);
    }
    return series;
  }

  private boundModels(metric: MetricName, values: readonly string[]): readonly string[] {
    const model = definitionOf(metric).labels.indexOf("model");
    return model < 0 ? values : values.with(model, this.models.labelOf(values[model]!));
  }
}

function addUp(sum: Float64Array, row: Float64Array, cell: number): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += row[cell + i]!;
}
