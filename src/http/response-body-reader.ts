import { ChunkedDecoder } from "./chunked.ts";
import { digitsOf } from "./packet.ts";
import type { Framing } from "./response-head.ts";

/** Takes the framing off the body of one response (RFC 9112 6.3). */
export class ResponseBodyReader {
  /** `open`: more is to come. */
  state: "open" | "complete" | "malformed" = "open";
  /** Where the payload stands in what was read last: from here to before `to`. */
  from = 0;
  to = 0;
  /** What was read last is all of one chunk and nothing else, just as it would be framed anew. */
  isOneChunk = false;
  /** Something arrived behind the end: nobody knows what the sender means by it. */
  overrun = false;
  private readonly framing: Framing;
  private readonly decoder: ChunkedDecoder | null;
  /** Bytes of an announced length that are still to come. */
  private missing: number;

  constructor(framing: Framing) {
    this.framing = framing;
    this.decoder = framing === "chunked" ? new ChunkedDecoder() : null;
    this.missing = typeof framing === "number" ? framing : 0;
    if (framing === "none" || framing === 0) this.state = "complete";
  }

  /** Bytes of the whole body, where they are announced. */
  get length(): number | null {
    return typeof this.framing === "number" ? this.framing : null;
  }

  /**
   * Takes what arrived, which from then on is ours to change, and puts all the payload in it together: `from` to `to`.
   * Also of a malformed body what stands before the fault.
   */
  read(bytes: Uint8Array): void {
    if (this.decoder !== null && this.state === "open") {
      this.decode(this.decoder, bytes);
      return;
    }
    this.from = 0;
    this.to = this.state === "open" ? this.take(bytes.length) : 0;
    this.overrun ||= this.to < bytes.length;
  }

  /** The connection ended in order: for a body without any other end that was it. */
  endInput(): void {
    if (this.framing === "until-close") this.state = "complete";
  }

  /** Counts bytes of a body without framing of its own. Gives how many of them belong to it. */
  private take(count: number): number {
    if (this.framing === "until-close") return count;
    const taken = Math.min(this.missing, count);
    this.missing -= taken;
    if (this.missing === 0) this.state = "complete";
    return taken;
  }

  private decode(decoder: ChunkedDecoder, bytes: Uint8Array): void {
    const begins = decoder.isBetweenChunks;
    const end = decoder.compact(bytes, 0);
    const from = decoder.payloadFrom;
    const to = decoder.payloadTo;
    this.from = from;
    this.to = to;
    // Of several chunks the payload has been moved, and a size with zeros or an extension before it is longer than needed,
    // unless the beginning of its line came with what was read before.
    this.isOneChunk = begins && end === to + 2 && end === bytes.length && from === digitsOf(to - from) + 2;
    if (end < 0) this.state = "malformed";
    else if (decoder.done) {
      this.state = "complete";
      this.overrun = end < bytes.length;
    }
  }
}
