import { BalancerMemory } from "./balancer-memory.ts";
import type { Capacity } from "./capacity.ts";
import { LimitsMemory } from "./limits-memory.ts";
import { LogSlots } from "./log-slots.ts";
import { Region } from "./region.ts";
import { SeriesCells } from "./series-cells.ts";
import { WorkerCells } from "./worker-cells.ts";

/** Numbers that one worker can count; a histogram takes about twenty. Memory that is never touched costs nothing. */
const SERIES_CELLS = 131_072;

/** Everything that threads share, but for the tables of the rate limits, over one buffer. */
export class SharedMemory {
  readonly balancer: BalancerMemory;
  readonly series: SeriesCells;
  readonly workers: WorkerCells;
  readonly limits: LimitsMemory;
  /** By worker. */
  readonly logs: readonly LogSlots[];

  constructor(region: Region, capacity: Capacity) {
    this.balancer = new BalancerMemory(region, capacity);
    this.series = new SeriesCells(region, capacity.workers, SERIES_CELLS);
    this.workers = new WorkerCells(region, capacity.workers);
    this.limits = new LimitsMemory(region, capacity);
    this.logs = Array.from({ length: capacity.workers }, () => new LogSlots(region));
  }

  /** A fresh buffer of the right size, all zero. */
  static allocate(capacity: Capacity): SharedArrayBuffer {
    return new SharedArrayBuffer(Region.measure((region) => new SharedMemory(region, capacity)));
  }

  /** The views of one thread. */
  static over(buffer: SharedArrayBuffer, capacity: Capacity): SharedMemory {
    return new SharedMemory(new Region(buffer), capacity);
  }

  /** Gives back what a worker held that has ended, before its replacement starts. */
  giveBackWorker(worker: number): void {
    this.balancer.giveBackWorker(worker);
    this.limits.giveBackWorker(worker);
    this.workers.clear(worker);
    this.logs[worker]!.clear();
  }
}
