import { BalancerMemory } from "./balancer-memory.ts";
import type { Capacity } from "./capacity.ts";
import { type LimitsCapacity, LimitsMemory } from "./limits-memory.ts";
import { Region } from "./region.ts";
import { SeriesCells } from "./series-cells.ts";
import { WorkerCells } from "./worker-cells.ts";

/** Numbers that one worker can count; a histogram takes about twenty. Memory that is never touched costs nothing. */
const SERIES_CELLS = 131_072;

/** What the shared memory is made for; threads that agree on it find the same things in the same places. */
export interface MemorySize {
  readonly capacity: Capacity;
  readonly limits: LimitsCapacity;
}

/** Everything that threads share, over one buffer. */
export class SharedMemory {
  readonly balancer: BalancerMemory;
  readonly series: SeriesCells;
  readonly workers: WorkerCells;
  readonly limits: LimitsMemory;

  constructor(region: Region, { capacity, limits }: MemorySize) {
    this.balancer = new BalancerMemory(region, capacity);
    this.series = new SeriesCells(region, capacity.workers, SERIES_CELLS);
    this.workers = new WorkerCells(region, capacity.workers);
    this.limits = new LimitsMemory(region, limits);
  }

  /** A fresh buffer of the right size, all zero. */
  static allocate(size: MemorySize): SharedArrayBuffer {
    return new SharedArrayBuffer(Region.measure((region) => new SharedMemory(region, size)));
  }

  /** The views of one thread. */
  static over(buffer: SharedArrayBuffer, size: MemorySize): SharedMemory {
    return new SharedMemory(new Region(buffer), size);
  }

  /** Gives back what a worker held that has ended, before its replacement starts. */
  giveBackWorker(worker: number): void {
    this.balancer.giveBackWorker(worker);
    this.limits.giveBackWorker(worker);
    this.workers.clear(worker);
  }
}
