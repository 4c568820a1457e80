import { totalmem } from "node:os";

import type { BodyBytes } from "../http/exchange.ts";
import { type ByteBudget, PIECE_BYTES } from "../memory/byte-budget.ts";

const BYTES_MAX_DEFAULT = 1024 ** 3;
const MEMORY_SHARE = 4;

/** Bytes of request bodies that the process may hold where the configuration does not say: a quarter of the memory, at most 1 GB. */
export function defaultBodyBytesMax(): number {
  // The limit of the container; 0 or a number beyond all memory where there is none.
  const constrained = process.constrainedMemory();
  const total = totalmem();
  const memory = constrained > 0 && constrained < total ? constrained : total;
  return Math.min(BYTES_MAX_DEFAULT, Math.floor(memory / MEMORY_SHARE));
}

/**
 * The bytes of request bodies that one worker holds. It has pieces of the budget that all share and counts in those by
 * itself, so that most requests touch no shared memory. One piece more than needed is kept for the next request.
 */
export class BodyBudget implements BodyBytes {
  readonly #shared: ByteBudget;
  readonly #worker: number;
  #bytes = 0;
  #pieces = 0;

  constructor(shared: ByteBudget, worker: number) {
    this.#shared = shared;
    this.#worker = worker;
  }

  take(bytes: number): boolean {
    const needed = Math.ceil((this.#bytes + bytes) / PIECE_BYTES) - this.#pieces;
    if (needed > 0) {
      if (!this.#shared.take(this.#worker, needed)) return false;
      this.#pieces += needed;
    }
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
    const spare = this.#pieces - Math.ceil(this.#bytes / PIECE_BYTES) - 1;
    if (spare <= 0) return;
    this.#shared.giveBack(this.#worker, spare);
    this.#pieces -= spare;
  }
}
