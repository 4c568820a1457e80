import { NOT_FIELD_TEXT, TOKEN } from "./syntax.ts";

/** A size line with its extensions, and a trailer section, are at most this long. */
const LINE_BYTES_MAX = 1024;
const TRAILER_BYTES_MAX = 8192;

/** chunk-size and extensions of RFC 9112 7.1.1; sizes beyond 2^52 are refused with the fourteenth digit. */
const SIZE_LINE =
  /^0*([0-9A-Fa-f]{1,13})(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[^"\\]|\\.)*"))?)*$/;

/** Digits of a size that the short way reads: what fits a 32-bit integer. */
const PLAIN_DIGITS_MAX = 7;
const CR = 13;
const LF = 10;

/**
 * Takes the chunked coding (RFC 9112 7.1) off a body, whatever pieces it arrives in. Strict: lines end in
 * CRLF, nothing else. Extensions are skipped, trailers checked and dropped, both within bounds.
 */
export class ChunkedDecoder {
  /** True once the last chunk and its trailer section are in. */
  done = false;
  /** Where the payload stands that `compact` has moved together. */
  payloadFrom = 0;
  payloadTo = 0;
  private state: "size" | "data" | "data-end" | "trailer" = "size";
  /** Bytes of the present chunk that are still to come. */
  private missing = 0;
  /** The part of a line that has arrived, where the line is read byte by byte. */
  private line = "";
  private trailerBytes = 0;

  /**
   * Reads `data` from `at` and hands payload on as views of it. Gives the position after what it used (all of
   * `data`, unless the body ended before), or -1 when the coding is violated.
   */
  decode(data: Uint8Array, at: number, payload: (view: Uint8Array) => void): number {
    for (;;) {
      at = this.skipFraming(data, at);
      if (this.state !== "data" || at < 0 || at === data.length) return at;
      const end = this.takePayload(data, at);
      payload(at === 0 && end === data.length ? data : data.subarray(at, end));
      at = end;
    }
  }

  /**
   * Reads `data` as `decode` does, but moves its payload together, within `data`, to where the first of it
   * stands: from `payloadFrom` to before `payloadTo`, also when the coding is violated behind it. What lies after
   * the end of the body is left alone.
   */
  compact(data: Uint8Array, at: number): number {
    this.payloadFrom = 0;
    this.payloadTo = 0;
    for (;;) {
      at = this.skipFraming(data, at);
      if (this.state !== "data" || at < 0 || at === data.length) return at;
      const end = this.takePayload(data, at);
      if (this.payloadTo === 0) {
        this.payloadFrom = at;
        this.payloadTo = end;
      } else {
        data.copyWithin(this.payloadTo, at, end);
        this.payloadTo += end - at;
      }
      at = end;
    }
  }

  /** Whether what comes next is the first byte of a chunk. */
  get isBetweenChunks(): boolean {
    return this.state === "size" && this.line === "";
  }

  /** Counts the payload from `at` on, which is not the end of `data`. Gives the position after it. */
  private takePayload(data: Uint8Array, at: number): number {
    const end = Math.min(data.length, at + this.missing);
    this.missing -= end - at;
    if (this.missing === 0) this.state = "data-end";
    return end;
  }

  /** Goes on to the next payload, the end of the body or that of `data`. Gives the position, or -1. */
  private skipFraming(data: Uint8Array, at: number): number {
    while (this.state !== "data" && !this.done && at >= 0 && at < data.length) {
      const after = this.line === "" ? this.skipPlain(data, at) : at;
      at = after > at ? after : this.takeLine(data, at);
    }
    return at;
  }

  /** The short way for what nearly all lines are: a bare size, or the end of a chunk, all of it there. Gives `at` for others. */
  private skipPlain(data: Uint8Array, at: number): number {
    if (this.state === "data-end") {
      if (data[at] !== CR || data[at + 1] !== LF) return at;
      this.state = "size";
      return at + 2;
    }
    if (this.state !== "size") return at;
    let size = 0;
    let end = at;
    for (; end < at + PLAIN_DIGITS_MAX; end++) {
      const digit = hexDigit(data[end]);
      if (digit < 0) break;
      size = size * 16 + digit;
    }
    if (end === at || data[end] !== CR || data[end + 1] !== LF) return at;
    this.beginChunk(size);
    return end + 2;
  }

  private beginChunk(size: number): void {
    this.missing = size;
    this.state = size === 0 ? "trailer" : "data";
  }

  /** Appends bytes up to and with a LF to the line, and acts on it. Gives the position after them, or -1. */
  private takeLine(data: Uint8Array, at: number): number {
    while (at < data.length) {
      const byte = data[at++]!;
      const afterCr = this.line.endsWith("\r");
      if (afterCr !== (byte === LF) || this.line.length === LINE_BYTES_MAX) return -1;
      if (byte === LF) {
        const line = this.line.slice(0, -1);
        this.line = "";
        return this.endLine(line) ? at : -1;
      }
      this.line += String.fromCharCode(byte);
      // No line of a chunk's end but the empty one: tell before the rest of it is in.
      if (this.state === "data-end" && byte !== CR) return -1;
    }
    return at;
  }

  /** Acts on a whole line, given without its CRLF. False: it must not stand here. */
  private endLine(line: string): boolean {
    if (this.state === "data-end") {
      this.state = "size";
      return line === "";
    }
    if (this.state === "size") {
      const size = SIZE_LINE.exec(line);
      if (size === null || NOT_FIELD_TEXT.test(line)) return false;
      this.beginChunk(Number.parseInt(size[1]!, 16));
      return true;
    }
    if (line === "") {
      this.done = true;
      return true;
    }
    this.trailerBytes += line.length;
    const colon = line.indexOf(":");
    const isField = colon > 0 && TOKEN.test(line.slice(0, colon)) && !NOT_FIELD_TEXT.test(line);
    return isField && this.trailerBytes <= TRAILER_BYTES_MAX;
  }
}

/** The value of a hexadecimal digit, or -1. */
function hexDigit(code: number | undefined): number {
  if (code === undefined) return -1;
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
