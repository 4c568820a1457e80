import type { Region } from "./region.ts";

/**
 * The numbers behind the metrics: one row of cells per worker, written by that worker alone and without
 * atomics, read by the supervisor when it is asked. A reader may see a number of a moment ago, never a torn one:
 * aligned 8-byte writes are whole on every platform that we build for.
 */
export class SeriesCells {
  private readonly rows: Float64Array[] = [];

  constructor(region: Region, workers: number, cellsPerWorker: number) {
    for (let worker = 0; worker < workers; worker++) this.rows.push(region.float64(cellsPerWorker));
  }

  /** The row of a worker. */
  row(worker: number): Float64Array {
    return this.rows[worker]!;
  }
}
