import { Carry } from "./carry.ts";
import type { EventSink } from "./event-sink.ts";

/** Of an oversized piece this many last bytes are kept. */
const TAIL_BYTES = 16 * 1024;
const SPACE = 32;

/**
 * Puts pieces of a body together that chunk borders cut. A piece that lies within one chunk is given there, without a
 * copy. Leading blanks are taken off; blank pieces are not given.
 */
export class PieceBuffer {
  private readonly sink: EventSink;
  private readonly pieceBytesMax: number;
  private readonly carry = new Carry();
  /** Bytes of the piece that are gone already, because it is oversized. */
  private dropped = 0;

  /** Takes who wants the pieces, and the most bytes that one may have. */
  constructor(sink: EventSink, pieceBytesMax: number) {
    this.sink = sink;
    this.pieceBytesMax = pieceBytesMax;
  }

  /** Whether a piece has begun and not ended. */
  get isHolding(): boolean {
    return this.carry.length > 0;
  }

  /** Keeps `chunk[from]` up to, not including, `chunk[to]`: the piece goes on in the next chunk. */
  hold(chunk: Uint8Array, from: number, to: number): void {
    const isOversized = this.dropped + this.carry.length + (to - from) > this.pieceBytesMax;
    // More than the tail need not even be copied.
    const skipped = isOversized ? Math.max(0, to - from - TAIL_BYTES) : 0;
    if (skipped > 0) {
      this.dropped += this.carry.length + skipped;
      this.carry.clear();
    }
    this.carry.append(chunk, from + skipped, to);
    if (!isOversized || this.carry.length <= 2 * TAIL_BYTES) return;
    const surplus = this.carry.length - TAIL_BYTES;
    this.carry.dropFront(surplus);
    this.dropped += surplus;
  }

  /** Ends the piece with the given bytes, of which there may be none, and gives it. */
  finish(chunk: Uint8Array, from: number, to: number): void {
    let bytes = chunk;
    let start = from;
    let end = to;
    if (this.carry.length > 0) {
      this.hold(chunk, from, to);
      bytes = this.carry.bytes;
      start = 0;
      end = this.carry.length;
    }
    const isOversized = this.dropped + (end - start) > this.pieceBytesMax;
    if (isOversized) start = Math.max(start, end - TAIL_BYTES);
    while (start < end && bytes[start]! <= SPACE) start++;
    if (start < end) this.sink.onEvent("", bytes, start, end, isOversized);
    this.dropped = 0;
    this.carry.clear();
  }
}
