import { BodyBuffer } from "../../http/body-buffer.ts";
import { cut } from "../../http/cut.ts";
import type { BodySink, TransportFailure, Whole } from "./transport.ts";

/**
 * Gathers a response body. One that comes in one piece, as small ones do, is not copied, and where all of it
 * is there already no promise is made.
 */
export class WholeBody implements BodySink {
  private readonly bytesMax: number;
  private readonly expected: number;
  private only: Uint8Array | null = null;
  private buffer: BodyBuffer | null = null;
  private whole: Whole | null = null;
  private resolve: ((whole: Whole) => void) | null = null;

  /** `expected`: announced bytes, 0 when unknown. */
  constructor(bytesMax: number, expected: number) {
    this.bytesMax = bytesMax;
    this.expected = expected;
  }

  /** The outcome, or a promise of it; asked for once. */
  result(): Whole | Promise<Whole> {
    return (
      this.whole ??
      new Promise((resolve) => {
        this.resolve = resolve;
      })
    );
  }

  piece(bytes: Uint8Array, from: number, to: number): void {
    if (this.whole !== null) return;
    const piece = cut(bytes, from, to);
    if (this.buffer === null && this.only === null && piece.length <= this.bytesMax) {
      this.only = piece;
      return;
    }
    if (this.buffer === null) {
      this.buffer = new BodyBuffer(this.bytesMax, this.expected);
      if (this.only !== null) this.buffer.add(this.only);
      this.only = null;
    }
    if (!this.buffer.add(piece)) this.settle("too-large");
  }

  end(): void {
    this.settle(this.buffer?.take() ?? this.only ?? new Uint8Array(0));
  }

  fail(failure: TransportFailure): void {
    this.settle(failure);
  }

  private settle(whole: Whole): void {
    if (this.whole !== null) return;
    this.whole = whole;
    this.resolve?.(whole);
  }
}
