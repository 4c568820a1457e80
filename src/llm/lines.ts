import { type OnPiece, PieceBuffer } from "./piece-buffer.ts";

const LF = 10;
const NOTHING = new Uint8Array(0);

/**
 * Cuts JSON lines (https://github.com/ndjson/ndjson-spec) as they arrive. Blank lines are skipped; a CR before the LF
 * stays, since JSON takes it for a blank.
 */
export class LineReader {
  private readonly pieces: PieceBuffer;

  /** Takes a callback for every line, and the most bytes that a line may have. */
  constructor(onLine: OnPiece, lineBytesMax: number) {
    this.pieces = new PieceBuffer(onLine, lineBytesMax);
  }

  /** Reads the next bytes. Keeps no reference to the chunk. */
  feed(chunk: Uint8Array): void {
    let at = 0;
    for (let lf = chunk.indexOf(LF); lf >= 0; lf = chunk.indexOf(LF, at)) {
      this.pieces.finish(chunk, at, lf);
      at = lf + 1;
    }
    if (at < chunk.length) this.pieces.hold(chunk, at, chunk.length);
  }

  /** The stream is over: gives the last line when its end is missing. */
  end(): void {
    if (this.pieces.isHolding) this.pieces.finish(NOTHING, 0, 0);
  }
}
