import { ChunkedDecoder } from "./chunked.ts";
import { cut } from "./cut.ts";
import type { Framing } from "./response-head.ts";

const EMPTY = new Uint8Array(0);

/** Takes the framing off the body of one response (RFC 9112 6.3). */
export class ResponseBodyReader {
  /** `open`: more is to come. */
  state: "open" | "complete" | "malformed" = "open";
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
   * Takes what arrived, which from then on is ours to change. Gives all the payload in it in one piece, empty for none;
   * also of a malformed body what stands before the fault.
   */
  read(chunk: Buffer): Uint8Array {
    if (this.state !== "open") {
      this.overrun ||= chunk.length > 0;
      return EMPTY;
    }
    if (this.decoder !== null) return this.decode(this.decoder, chunk);
    if (this.framing === "until-close") return chunk;
    const taken = Math.min(this.missing, chunk.length);
    this.missing -= taken;
    if (this.missing === 0) this.state = "complete";
    if (taken === chunk.length) return chunk;
    this.overrun = true;
    return cut(chunk, 0, taken);
  }

  /** The connection ended in order: for a body without any other end that was it. */
  endInput(): void {
    if (this.framing === "until-close") this.state = "complete";
  }

  private decode(decoder: ChunkedDecoder, chunk: Buffer): Uint8Array {
    const end = decoder.compact(chunk, 0);
    if (end < 0) this.state = "malformed";
    else if (decoder.done) {
      this.state = "complete";
      this.overrun = end < chunk.length;
    }
    const { payloadFrom, payloadTo } = decoder;
    return payloadTo === 0 ? EMPTY : cut(chunk, payloadFrom, payloadTo);
  }
}
