import type { Region } from "./region.ts";

const LAG_MS = 0;
const BEAT_MS = 1;
const CELLS = 2;

/**
 * A few numbers for each worker, each of them written by one thread alone (who that is stands with the method) and
 * read by the other one. As with `SeriesCells` a reader may see a number of a moment ago, never a torn one.
 */
export class WorkerCells {
  private readonly rows: Float64Array[] = [];

  constructor(region: Region, workers: number) {
    for (let worker = 0; worker < workers; worker++) this.rows.push(region.float64(CELLS));
  }

  /** By the worker: its event loop turns. `lagMs`: how late it was at worst, lately. */
  beat(worker: number, nowMs: number, lagMs: number): void {
    const row = this.rows[worker]!;
    row[LAG_MS] = lagMs;
    row[BEAT_MS] = nowMs;
  }

  /** What `beat` noted last; both 0 before the first. */
  lastBeat(worker: number): { readonly lagMs: number; readonly atMs: number } {
    const row = this.rows[worker]!;
    return { lagMs: row[LAG_MS]!, atMs: row[BEAT_MS]! };
  }

  /** By the supervisor, when the worker has ended and before another takes its number. */
  clear(worker: number): void {
    this.rows[worker]!.fill(0);
  }
}
