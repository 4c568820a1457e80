import type { Region } from "./region.ts";

/** Turns of waiting awake: whoever holds a lock needs far less, unless it was put to sleep meanwhile. */
const SPINS = 2_000;
/** Then this often asleep, each for so long. */
const NAPS = 250;
const NAP_MS = 1;

/**
 * Locks for the few steps that one compare-and-swap cannot do. Held for nanoseconds, never across anything that can
 * wait or throw. The word says which worker holds it, so that the lock of a worker that died can be broken.
 */
export class Locks {
  readonly #words: Int32Array;

  constructor(region: Region, count: number) {
    this.#words = region.int32(count);
  }

  /** Takes the lock. False after a quarter of a second in vain: then its holder is dead or stuck. */
  acquire(worker: number, index: number): boolean {
    for (let turn = 0; turn < SPINS + NAPS; turn++) {
      const holder = Atomics.compareExchange(this.#words, index, 0, worker + 1);
      if (holder === 0) return true;
      if (turn >= SPINS) Atomics.wait(this.#words, index, holder, NAP_MS);
    }
    return false;
  }

  release(index: number): void {
    Atomics.store(this.#words, index, 0);
  }

  /** Breaks what a worker held that has ended. `repair` is called for each, while the lock is still held. */
  giveBackAll(worker: number, repair: (index: number) => void): void {
    const words = this.#words;
    for (let index = 0; index < words.length; index++) {
      if (Atomics.load(words, index) !== worker + 1) continue;
      repair(index);
      Atomics.store(words, index, 0);
    }
  }
}
