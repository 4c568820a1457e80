import type { Region } from "./region.ts";

/** Where connections wait. */
export interface WaitingPlace {
  readonly worker: number;
  readonly forward: number;
  /** How many, that nobody has asked for. */
  readonly count: number;
}

/**
 * How many client connections of each worker wait for a request, by forward, and how many of those other workers
 * have asked it to close. What waits is written by its worker alone, and without an atomic operation, as it changes
 * twice with every request; others may see the number of a moment ago.
 */
export class WaitingConnections {
  readonly #waiting: readonly Int32Array[];
  readonly #asked: readonly Int32Array[];

  constructor(region: Region, workers: number, forwards: number) {
    this.#waiting = Array.from({ length: workers }, () => region.int32(forwards));
    this.#asked = Array.from({ length: workers }, () => region.int32(forwards));
  }

  write(worker: number, forward: number, count: number): void {
    this.#waiting[worker]![forward] = count;
  }

  /**
   * Where most of them are that nobody has asked for: of this forward, or of any if it is null. Null: there is none.
   */
  most(forward: number | null): WaitingPlace | null {
    let most = 0;
    let place: WaitingPlace | null = null;
    for (const [worker, waiting] of this.#waiting.entries()) {
      const first = forward ?? 0;
      const end = forward === null ? waiting.length : forward + 1;
      for (let id = first; id < end; id++) {
        const left = waiting[id]! - this.asked(worker, id);
        if (left <= most) continue;
        most = left;
        place = { worker, forward: id, count: left };
      }
    }
    return place;
  }

  /** Asks a worker to close one of those that wait there. False: there is no such place. */
  ask(place: WaitingPlace | null): boolean {
    if (place === null) return false;
    Atomics.add(this.#asked[place.worker]!, place.forward, 1);
    return true;
  }

  /** How many a worker has yet to close. */
  asked(worker: number, forward: number): number {
    return Atomics.load(this.#asked[worker]!, forward);
  }

  /** So many of those were closed, or need not be any more. */
  settle(worker: number, forward: number, count: number): void {
    Atomics.sub(this.#asked[worker]!, forward, count);
  }

  /** For a worker that has ended. */
  clear(worker: number): void {
    this.#waiting[worker]!.fill(0);
    this.#asked[worker]!.fill(0);
  }
}
