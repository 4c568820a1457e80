import { BodyBuffer } from "./body-buffer.ts";
import { ChunkedDecoder } from "./chunked.ts";
import type { BodyBytes, BodyFailure } from "./exchange.ts";

/** The body of a request that has none. */
export const NO_BODY = new Uint8Array(0);

/** A request body on its way in: takes what arrives, and settles with the whole of it or with why not. */
export class RequestBody {
  readonly whole: Promise<Uint8Array | BodyFailure>;
  private readonly buffer: BodyBuffer;
  private readonly decoder: ChunkedDecoder | null;
  private readonly resolve: (result: Uint8Array | BodyFailure) => void;
  /** Bytes of an announced length that are still to come. */
  private missing: number;
  private fits = true;

  /** `contentLength`: bytes announced, at most `bytesMax`; -1 = chunked. `memory`: where the bytes held are counted. */
  constructor(contentLength: number, bytesMax: number, memory: BodyBytes | null = null) {
    const chunked = contentLength < 0;
    this.buffer = new BodyBuffer(chunked ? bytesMax : contentLength, chunked ? 0 : contentLength, memory);
    this.decoder = chunked ? new ChunkedDecoder() : null;
    this.missing = contentLength;
    const { promise, resolve } = Promise.withResolvers<Uint8Array | BodyFailure>();
    this.whole = promise;
    this.resolve = resolve;
  }

  /**
   * Takes what arrived. Gives null while more is to come, else how many bytes of `chunk` belonged to the
   * body, or -1 when it failed; `whole` has then settled.
   */
  feed(chunk: Uint8Array): number | null {
    const used = this.decoder === null ? this.take(chunk) : this.decode(this.decoder, chunk);
    if (used < 0) return this.fail("malformed");
    if (!this.fits) return this.fail(this.buffer.starved ? "no-room" : "too-large");
    if (!(this.decoder?.done ?? this.missing === 0)) return null;
    this.resolve(this.buffer.take());
    return used;
  }

  /** Ends it before its time. Harmless after the end. */
  fail(failure: BodyFailure): -1 {
    this.resolve(failure);
    return -1;
  }

  private take(chunk: Uint8Array): number {
    const used = Math.min(this.missing, chunk.length);
    this.fits = this.buffer.add(used === chunk.length ? chunk : chunk.subarray(0, used));
    this.missing -= used;
    return used;
  }

  private decode(decoder: ChunkedDecoder, chunk: Uint8Array): number {
    return decoder.decode(chunk, 0, (view) => {
      this.fits &&= this.buffer.add(view);
    });
  }
}
