import type { EventSink } from "./event-sink.ts";
import { PieceBuffer } from "./piece-buffer.ts";

const QUOTE = 34;
const BACKSLASH = 92;
const LEFT_BRACE = 123;
const RIGHT_BRACE = 125;
const LEFT_BRACKET = 91;
const RIGHT_BRACKET = 93;

/**
 * Cuts a JSON array of objects into its objects as it arrives: Gemini streams one when it is not asked for events.
 * Counts braces outside strings and checks nothing else; parsing a piece does that.
 */
export class ElementReader {
  private readonly pieces: PieceBuffer;
  /** Open braces and brackets, the array's own not counted. */
  private depth = 0;
  private isOpen = false;
  private inString = false;
  private escaped = false;

  /** Takes who wants the objects, and the most bytes that one may have. */
  constructor(sink: EventSink, elementBytesMax: number) {
    this.pieces = new PieceBuffer(sink, elementBytesMax);
  }

  /** Reads the next bytes: those from `from` to before `to`. Keeps no reference to the chunk. */
  feed(chunk: Uint8Array, from: number, to: number): void {
    let start = from;
    for (let at = from; at < to; at++) {
      const byte = chunk[at]!;
      if (this.inString) {
        if (this.escaped) this.escaped = false;
        else if (byte === BACKSLASH) this.escaped = true;
        else if (byte === QUOTE) this.inString = false;
      } else if (byte === QUOTE) {
        this.inString = true;
      } else if (byte === LEFT_BRACE || byte === LEFT_BRACKET) {
        if (!this.isOpen && byte === LEFT_BRACKET) {
          this.isOpen = true;
          continue;
        }
        if (this.depth === 0) start = at;
        this.depth++;
      } else if ((byte === RIGHT_BRACE || byte === RIGHT_BRACKET) && this.depth > 0) {
        this.depth--;
        if (this.depth === 0) this.pieces.finish(chunk, start, at + 1);
      }
    }
    if (this.depth > 0) this.pieces.hold(chunk, start, to);
  }

  /** The stream is over. An object that has not ended says nothing. */
  end(): void {}
}
