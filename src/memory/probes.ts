import type { Region } from "./region.ts";
import { tickAt, tickFrom } from "./ticks.ts";

/** A probe's hold on a slot. `expiry` is the exact word put there: giving back anything else does nothing. */
export interface ProbeClaim {
  readonly slot: number;
  readonly expiry: number;
}

/**
 * Slots for the probes of a half-open breaker. A slot holds the tick at which the probe's lease ends, 0 when
 * free; one whose lease has ended is as good as free. As a slot is only claimed anew when its expiry has passed,
 * and the new expiry is in the future, two claims that overlap never have the same expiry.
 */
export class Probes {
  readonly #perUpstream: number;
  readonly #slots: Int32Array;
  /** What each worker claimed, slot by slot, to give back if it dies. Written by that worker alone. */
  readonly #held: readonly Int32Array[];

  constructor(region: Region, workers: number, upstreams: number, perUpstream: number) {
    this.#perUpstream = perUpstream;
    this.#slots = region.int32(upstreams * perUpstream);
    this.#held = Array.from({ length: workers }, () => region.int32(upstreams * perUpstream));
  }

  /** Claims one of the first `limit` slots of the upstream until `nowMs + leaseMs`; null when all are taken. */
  claim(worker: number, upstream: number, limit: number, nowMs: number, leaseMs: number): ProbeClaim | null {
    const now = tickAt(nowMs);
    const expiry = Math.max(tickFrom(nowMs + leaseMs), now + 1);
    const first = upstream * this.#perUpstream;
    for (let slot = first; slot < first + limit; slot++) {
      const word = Atomics.load(this.#slots, slot);
      if (word > now) continue;
      if (Atomics.compareExchange(this.#slots, slot, word, expiry) !== word) continue;
      Atomics.store(this.#held[worker]!, slot, expiry);
      return { slot, expiry };
    }
    return null;
  }

  /** True when a claim would find a slot. */
  free(upstream: number, limit: number, nowMs: number): boolean {
    const now = tickAt(nowMs);
    const first = upstream * this.#perUpstream;
    for (let slot = first; slot < first + limit; slot++) {
      if (this.#slots[slot]! <= now) return true;
    }
    return false;
  }

  /** True while the slot is still this claim's: it may have expired, but nobody else has taken it. */
  holds(claim: ProbeClaim): boolean {
    return Atomics.load(this.#slots, claim.slot) === claim.expiry;
  }

  giveBack(worker: number, claim: ProbeClaim): void {
    // The note goes first: were it left over, it could later free another claim with the same expiry.
    const held = this.#held[worker]!;
    if (Atomics.load(held, claim.slot) === claim.expiry) Atomics.store(held, claim.slot, 0);
    Atomics.compareExchange(this.#slots, claim.slot, claim.expiry, 0);
  }

  /** Gives back all that a worker held. Only for a worker that has ended. */
  giveBackAll(worker: number): void {
    const held = this.#held[worker]!;
    for (let slot = 0; slot < held.length; slot++) {
      const expiry = Atomics.exchange(held, slot, 0);
      if (expiry !== 0) Atomics.compareExchange(this.#slots, slot, expiry, 0);
    }
  }

  clear(upstream: number): void {
    const first = upstream * this.#perUpstream;
    for (let slot = first; slot < first + this.#perUpstream; slot++) Atomics.store(this.#slots, slot, 0);
  }
}
