const EMPTY = new Uint8Array(0);
/** Below this many bytes a loop is cheaper than making a view to copy from. */
const LOOP_BYTES_MAX = 32;
/** A buffer above this size is given back when it is emptied. */
const KEPT_BYTES_MAX = 64 * 1024;

/**
 * Holds the beginning of a piece whose end has not come yet. Grows as needed: the user bounds it, by `dropFront`.
 * There are always two spare bytes behind the content.
 */
export class Carry {
  bytes: Uint8Array = EMPTY;
  length = 0;

  /** Copies `chunk[from]` up to, not including, `chunk[to]` to the end. */
  append(chunk: Uint8Array, from: number, to: number): void {
    const count = to - from;
    const length = this.length + count;
    if (length + 2 > this.bytes.length) {
      const grown = new Uint8Array(Math.max(1024, length * 2));
      if (this.length > 0) grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    if (count < LOOP_BYTES_MAX) {
      for (let i = 0; i < count; i++) this.bytes[this.length + i] = chunk[from + i]!;
    } else {
      this.bytes.set(chunk.subarray(from, to), this.length);
    }
    this.length = length;
  }

  /** Forgets the first `count` bytes; the rest moves to the front. */
  dropFront(count: number): void {
    this.bytes.copyWithin(0, count, this.length);
    this.length -= count;
  }

  /** Forgets everything. */
  clear(): void {
    this.length = 0;
    if (this.bytes.length > KEPT_BYTES_MAX) this.bytes = EMPTY;
  }
}
