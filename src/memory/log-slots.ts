import type { Region } from "./region.ts";

/** A batch of lines is at most this long. */
export const LOG_SLOT_BYTES = 256 * 1024;
/** Batches of one worker that are being filled, on their way or being written, at a time. */
const SLOTS = 4;

const FREE = 0;
/** The worker fills it, or has posted it. */
const FILLED = 1;
/** The supervisor knows of it. */
const HELD = 2;

/**
 * Memory for the log lines of one worker on their way to the supervisor, in slots that are used over and over: memory
 * that is made for each batch and passed on costs both threads page faults and garbage collections.
 *
 * A slot belongs to the worker from `claim` until the supervisor has been told of it; that gives it back with `free`, in
 * any order.
 */
export class LogSlots {
  private readonly states: Int32Array;
  private readonly memory: Uint8Array;

  constructor(region: Region) {
    this.states = region.int32(SLOTS);
    this.memory = region.uint8(SLOTS * LOG_SLOT_BYTES);
  }

  /** By the worker: gives the number of a free slot, which is its own from then on; null when there is none. */
  claim(): number | null {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (Atomics.load(this.states, slot) !== FREE) continue;
      Atomics.store(this.states, slot, FILLED);
      return slot;
    }
    return null;
  }

  /** The memory of a slot. */
  bytes(slot: number): Uint8Array {
    return this.memory.subarray(slot * LOG_SLOT_BYTES, (slot + 1) * LOG_SLOT_BYTES);
  }

  /** By the supervisor: the slot stays as it is until it is given back, also when the worker ends. */
  hold(slot: number): void {
    Atomics.store(this.states, slot, HELD);
  }

  /** By the supervisor: what is in it is needed no longer. */
  free(slot: number): void {
    Atomics.store(this.states, slot, FREE);
  }

  /** By the supervisor, when the worker has ended and before another takes its number: frees what that had not passed on. */
  clear(): void {
    for (let slot = 0; slot < SLOTS; slot++) Atomics.compareExchange(this.states, slot, FILLED, FREE);
  }
}
