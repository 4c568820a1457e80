import type * as zlib from "node:zlib";

/** Unpacks one coding. */
export interface Codec {
  readonly open: () => zlib.Gunzip | zlib.BrotliDecompress | zlib.ZstdDecompress;
  /** Throws when it is broken, or unpacks to more than `bytesMax`. */
  readonly unpack: (packed: Uint8Array, bytesMax: number) => Uint8Array;
}

const KNOWN: ReadonlySet<string> = new Set(["gzip", "x-gzip", "deflate", "br", "zstd"]);

/** Gives the name of the coding in a Content-Encoding, "" when there is none. */
export function codingOf(contentEncoding: string | null): string {
  const coding = contentEncoding === null ? "" : contentEncoding.trim().toLowerCase();
  return coding === "identity" ? "" : coding;
}

/** Whether a coding can be unpacked. Several codings on top of each other cannot. */
export function isKnownCoding(coding: string): boolean {
  return KNOWN.has(coding);
}

/** Gives the codec of a known coding. What "deflate" says is in the zlib format by the standard, and without it from some servers. */
export function codecOf(coding: string, firstByte: number | undefined): Codec {
  // Made with the first packed answer: the module of the platform takes ten megabytes in every worker.
  codecs ??= makeCodecs(process.getBuiltinModule("node:zlib"));
  switch (coding) {
    case "br":
      return codecs.br;
    case "zstd":
      return codecs.zstd;
    case "deflate":
      // The zlib format begins with a byte that ends in 8; no encoder begins a raw block with it (RFC 1950, RFC 1951).
      return firstByte !== undefined && (firstByte & 0x0f) !== 8 ? codecs.deflateRaw : codecs.deflate;
    default:
      return codecs.gzip;
  }
}

let codecs: ReturnType<typeof makeCodecs> | null = null;

function makeCodecs({ constants, ...zlib }: typeof import("node:zlib")) {
  // Bytes that break off are given as far as they go, instead of failing: hence the finishFlush.
  const deflating = { finishFlush: constants.Z_SYNC_FLUSH };
  const brotli = { finishFlush: constants.BROTLI_OPERATION_FLUSH };
  const zstd = { finishFlush: constants.ZSTD_e_flush };
  const codec = (open: Codec["open"], unpack: Codec["unpack"]): Codec => ({ open, unpack });
  return {
    gzip: codec(
      () => zlib.createGunzip(deflating),
      (packed, maxOutputLength) => zlib.gunzipSync(packed, { ...deflating, maxOutputLength }),
    ),
    deflate: codec(
      () => zlib.createInflate(deflating),
      (packed, maxOutputLength) => zlib.inflateSync(packed, { ...deflating, maxOutputLength }),
    ),
    deflateRaw: codec(
      () => zlib.createInflateRaw(deflating),
      (packed, maxOutputLength) => zlib.inflateRawSync(packed, { ...deflating, maxOutputLength }),
    ),
    br: codec(
      () => zlib.createBrotliDecompress(brotli),
      (packed, maxOutputLength) => zlib.brotliDecompressSync(packed, { ...brotli, maxOutputLength }),
    ),
    zstd: codec(
      () => zlib.createZstdDecompress(zstd),
      (packed, maxOutputLength) => zlib.zstdDecompressSync(packed, { ...zstd, maxOutputLength }),
    ),
  };
}
