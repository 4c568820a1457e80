import { Carry } from "./carry.ts";

/** A body up to this size is kept whole: parsing it takes well under a millisecond. */
export const WHOLE_BYTES_MAX = 128 * 1024;
/** Of a larger one these many bytes are kept: the model is named at the head, usage at the tail. */
const HEAD_BYTES = 16 * 1024;
const TAIL_BYTES = 64 * 1024;
const EMPTY = new Uint8Array(0);

/**
 * Keeps what is needed of a body that is one JSON text: all of a small one, head and tail of a large one. An
 * embeddings answer of megabytes would block the thread for tens of milliseconds if it were parsed.
 */
export class BodyKeeper {
  /** Bytes of the body so far, kept or not. */
  length = 0;
  /** The first chunk by reference: a small body mostly comes in one, and is then never copied. */
  private first: Uint8Array | null = null;
  /** The whole body if it came in several chunks, or the tail of a large one. */
  private carry: Carry | null = null;
  private head: Uint8Array | null = null;

  /** Takes the next bytes. They must stay as they are until the body has been read. */
  add(chunk: Uint8Array): void {
    const isFirst = this.length === 0;
    this.length += chunk.length;
    if (isFirst && this.length <= WHOLE_BYTES_MAX) {
      this.first = chunk;
      return;
    }
    const carry = (this.carry ??= new Carry());
    if (this.first !== null) carry.append(this.first, 0, this.first.length);
    this.first = null;
    if (this.length <= WHOLE_BYTES_MAX) carry.append(chunk, 0, chunk.length);
    else this.addToEnds(carry, chunk);
  }

  /** Gives the whole body, or null when it was too large to keep. */
  whole(): Uint8Array | null {
    if (this.head !== null) return null;
    return this.first ?? this.kept();
  }

  /** Gives head and tail of a body that was too large to keep whole. */
  ends(): { readonly head: Uint8Array; readonly tail: Uint8Array } {
    const kept = this.kept();
    return { head: this.head ?? EMPTY, tail: kept.subarray(Math.max(0, kept.length - TAIL_BYTES)) };
  }

  private kept(): Uint8Array {
    return this.carry === null ? EMPTY : this.carry.bytes.subarray(0, this.carry.length);
  }

  private addToEnds(carry: Carry, chunk: Uint8Array): void {
    if (this.head === null) {
      const kept = Math.min(HEAD_BYTES, carry.length);
      const added = Math.min(HEAD_BYTES - kept, chunk.length);
      this.head = Buffer.concat([carry.bytes.subarray(0, kept), chunk.subarray(0, added)]);
    }
    const from = Math.max(0, chunk.length - TAIL_BYTES);
    carry.append(chunk, from, chunk.length);
    if (carry.length > 2 * TAIL_BYTES) carry.dropFront(carry.length - TAIL_BYTES);
  }
}
