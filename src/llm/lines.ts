import type { EventSink } from "./event-sink.ts";
import { PieceBuffer } from "./piece-buffer.ts";

const LF = 10;
const NOTHING = new Uint8Array(0);

/**
 * Cuts JSON lines (https://github.com/ndjson/ndjson-spec) as they arrive. Blank lines are skipped; a CR before the LF
 * stays, since JSON takes it for a blank.
 */
export class LineReader {
  private readonly pieces: PieceBuffer;

  /** Takes who wants the lines, and the most bytes that one may have. */
  constructor(sink: EventSink, lineBytesMax: number) {
    this.pieces = new PieceBuffer(sink, lineBytesMax);
  }

  /** Reads the next bytes: those from `at` to before `to`. Keeps no reference to the chunk. */
  feed(chunk: Uint8Array, at: number, to: number): void {
    for (let lf = chunk.indexOf(LF, at); lf >= 0 && lf < to; lf = chunk.indexOf(LF, at)) {
      this.pieces.finish(chunk, at, lf);
      at = lf + 1;
    }
    if (at < to) this.pieces.hold(chunk, at, to);
  }

  /** The stream is over: gives the last line when its end is missing. */
  end(): void {
    if (this.pieces.isHolding) this.pieces.finish(NOTHING, 0, 0);
  }
}
