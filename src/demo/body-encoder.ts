import * as zlib from "node:zlib";

import type { Encoding } from "./script.ts";

const BROTLI_QUALITY = 4;

/** Compresses a body piece by piece, so that the peer can read each piece as soon as it is there. */
export class BodyEncoder {
  private readonly stream: zlib.Gzip | zlib.BrotliCompress | zlib.ZstdCompress;
  private readonly flushKind: number;
  private ready: Uint8Array[] = [];

  constructor(encoding: Encoding) {
    const { constants } = zlib;
    switch (encoding) {
      case "gzip":
        this.stream = zlib.createGzip();
        this.flushKind = constants.Z_SYNC_FLUSH;
        break;
      case "br":
        this.stream = zlib.createBrotliCompress({
          params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY },
        });
        this.flushKind = constants.BROTLI_OPERATION_FLUSH;
        break;
      case "zstd":
        this.stream = zlib.createZstdCompress();
        this.flushKind = constants.ZSTD_e_flush;
        break;
    }
    this.stream.on("data", (chunk: Uint8Array) => this.ready.push(chunk));
  }

  /** Gives the compressed bytes of a piece, flushed. */
  async encode(piece: Uint8Array): Promise<Uint8Array> {
    if (piece.length === 0) return piece;
    await new Promise<void>((resolve) => {
      this.stream.write(piece);
      this.stream.flush(this.flushKind, resolve);
    });
    return this.take();
  }

  /** Gives the bytes that end the compressed body. */
  async finish(): Promise<Uint8Array> {
    await new Promise<void>((resolve) => {
      this.stream.once("end", resolve);
      this.stream.end();
    });
    return this.take();
  }

  /** Frees what the compressor holds; needed where a body is given up half way. */
  close(): void {
    this.stream.destroy();
  }

  private take(): Uint8Array {
    const bytes = Buffer.concat(this.ready);
    this.ready = [];
    return bytes;
  }
}
