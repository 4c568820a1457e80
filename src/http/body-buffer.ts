import type { BodyBytes } from "./exchange.ts";

/** The first piece of memory is at most this large, unless the first bytes that arrive need more. */
const FIRST_BYTES_MAX = 16_384;
const FIRST_BYTES = 4_096;
const EMPTY = new Uint8Array(0);

/** Gathers the pieces of a body into one array that grows by doubling, never beyond its bound. */
export class BodyBuffer {
  length = 0;
  /** A piece was left out since there was no memory for it, not for the bound. */
  starved = false;
  private bytes = EMPTY;
  private readonly bytesMax: number;
  private readonly firstBytes: number;
  private readonly memory: BodyBytes | null;

  /**
   * `expected`: bytes announced, 0 when unknown. Memory is taken as bytes arrive, not on the announcement, but
   * for the first 16 KB. `memory`: where it is counted; null = nowhere.
   */
  constructor(bytesMax: number, expected: number, memory: BodyBytes | null = null) {
    this.bytesMax = bytesMax;
    this.firstBytes = Math.min(expected > 0 ? expected : FIRST_BYTES, FIRST_BYTES_MAX);
    this.memory = memory;
  }

  /** Adds a piece. Gives false, and leaves it out, when it does not fit or there is no memory for it. */
  add(piece: Uint8Array): boolean {
    const needed = this.length + piece.length;
    if (needed > this.bytesMax) return false;
    if (needed > this.bytes.length) {
      const size = Math.min(this.bytesMax, Math.max(needed, 2 * this.bytes.length, this.firstBytes));
      if (this.memory !== null && !this.memory.take(size - this.bytes.length)) {
        this.starved = true;
        return false;
      }
      const larger = Buffer.allocUnsafeSlow(size);
      larger.set(this.bytes.subarray(0, this.length));
      this.bytes = larger;
    }
    this.bytes.set(piece, this.length);
    this.length = needed;
    return true;
  }

  /** All that was added, as a view. */
  take(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}
