/** Every view begins on a cache line of its own: neighbours written by different threads would slow each other. */
const CACHE_LINE_BYTES = 64;

/**
 * Hands out typed-array views over shared memory, one after the other. Threads that ask for the same views
 * in the same order over the same buffer get the same memory; nothing else ties the views together. Fresh
 * memory is zero, and zero is the initial state of everything that is built on it.
 */
export class Region {
  readonly #buffer: SharedArrayBuffer | null;
  #offset = 0;

  /** `null` only measures: the views handed out are empty and must not be used. */
  constructor(buffer: SharedArrayBuffer | null) {
    this.#buffer = buffer;
  }

  /** Gives how many bytes `build` takes. `build` must only take views, not touch them. */
  static measure(build: (region: Region) => void): number {
    const region = new Region(null);
    build(region);
    return region.#offset;
  }

  uint8(length: number): Uint8Array {
    const offset = this.#take(length);
    return this.#buffer === null ? new Uint8Array(0) : new Uint8Array(this.#buffer, offset, length);
  }

  int32(length: number): Int32Array {
    const offset = this.#take(length * Int32Array.BYTES_PER_ELEMENT);
    return this.#buffer === null ? new Int32Array(0) : new Int32Array(this.#buffer, offset, length);
  }

  float64(length: number): Float64Array {
    const offset = this.#take(length * Float64Array.BYTES_PER_ELEMENT);
    return this.#buffer === null ? new Float64Array(0) : new Float64Array(this.#buffer, offset, length);
  }

  uint64(length: number): BigUint64Array {
    const offset = this.#take(length * BigUint64Array.BYTES_PER_ELEMENT);
    return this.#buffer === null ? new BigUint64Array(0) : new BigUint64Array(this.#buffer, offset, length);
  }

  #take(bytes: number): number {
    const offset = this.#offset;
    this.#offset += Math.ceil(bytes / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
    return offset;
  }
}
