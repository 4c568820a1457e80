import { trimOws } from "../shared/trim.ts";
import { cut } from "./cut.ts";
import type { HeaderList } from "./exchange.ts";
import { readFieldLines } from "./field-lines.ts";
import { lowerName } from "./field-names.ts";
import type { Framing } from "./response-head.ts";
import { endOfText } from "./syntax.ts";

/** What a response head says, once it is known to be beyond doubt. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: HeaderList;
  readonly framing: Framing;
  /** The connection may serve another request after the end of this response. */
  readonly keepAlive: boolean;
  /** For how long the sender keeps an idle connection, by its `Keep-Alive` field; null = it does not say. */
  readonly keepAliveMs: number | null;
}

/** A head, status line included, is at most this long, and has at most so many fields. */
export const HEAD_BYTES_MAX = 65_536;
export const HEADERS_MAX = 200;
/** Interim responses (1xx) that are skipped before the final one. */
export const INTERIM_MAX = 16;

const END_OF_HEAD = Buffer.from("\r\n\r\n", "latin1");
const FIRST_BYTES = Buffer.from("HTTP/1.", "latin1");
/** A head that arrives in pieces is held with its end. Room for the usual ones is taken at first. */
const HELD_BYTES_MAX = HEAD_BYTES_MAX + END_OF_HEAD.length;
const USUAL_BYTES = 2048;
const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const DIGIT_0 = 0x30;
/** With more digits than these a number is no longer exact. */
const LENGTH = /^\d{1,15}$/;
const KEEP_ALIVE_TIMEOUT = /(?:^|[,\s])timeout\s*=\s*"?(\d{1,6})/i;

/**
 * Finds the head of a response in what arrives, and skips the interim ones (1xx) before it. In memory is never
 * more than one head of bounded size.
 */
export class ResponseHeadReader {
  /** What arrived behind the head; null = nothing. Valid once `read` has given a head. */
  rest: Buffer | null = null;
  /** The first `begunBytes` bytes of it: a head that has begun. */
  private begun: Buffer | null = null;
  private begunBytes = 0;
  private interims = 0;

  /** True while nothing of a response has arrived. */
  isUntouched(): boolean {
    return this.begun === null && this.interims === 0;
  }

  /** Forgets all, for the next response. */
  reset(): void {
    this.rest = null;
    this.begun = null;
    this.begunBytes = 0;
    this.interims = 0;
  }

  /**
   * Takes what arrived. Gives the head of the final response, `more` while it is not in, or `malformed`.
   * `bodiless`: the request was one whose response never has a body (HEAD).
   */
  read(chunk: Buffer, bodiless: boolean): ResponseHead | "more" | "malformed" {
    for (;;) {
      const head = this.begun === null ? this.readAtOnce(chunk, bodiless) : this.readOn(chunk, bodiless);
      if (typeof head === "string") return head;
      if (head.status >= 200) return head;
      if (head.status === 101 || ++this.interims > INTERIM_MAX) return "malformed";
      if (this.rest === null) return "more";
      chunk = this.rest;
    }
  }

  private readAtOnce(chunk: Buffer, bodiless: boolean): ResponseHead | "more" | "malformed" {
    const end = chunk.indexOf(END_OF_HEAD);
    if (end < 0) return this.readOn(chunk, bodiless);
    if (end > HEAD_BYTES_MAX) return "malformed";
    this.rest = end + 4 === chunk.length ? null : cut(chunk, end + 4, chunk.length);
    return parseResponseHead(chunk, end + 2, bodiless) ?? "malformed";
  }

  /** The same for a head that arrives in several pieces. */
  private readOn(chunk: Buffer, bodiless: boolean): ResponseHead | "more" | "malformed" {
    const before = this.begunBytes;
    const begun = this.append(chunk);
    const end = begun.indexOf(END_OF_HEAD, Math.max(0, before - 3));
    if (end < 0) {
      const isFull = begun.length === HELD_BYTES_MAX;
      return isFull || !mayBecomeHead(begun, before) ? "malformed" : "more";
    }
    this.begun = null;
    this.begunBytes = 0;
    const used = end + 4 - before;
    this.rest = used === chunk.length ? null : cut(chunk, used, chunk.length);
    return parseResponseHead(begun, end + 2, bodiless) ?? "malformed";
  }

  /** Adds a piece, or what of it may still belong to a head, to what has begun. Gives a view of that. */
  private append(chunk: Buffer): Buffer {
    const length = Math.min(HELD_BYTES_MAX, this.begunBytes + chunk.length);
    if (this.begun === null || this.begun.length < length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(HELD_BYTES_MAX, Math.max(USUAL_BYTES, 2 * length)));
      this.begun?.copy(larger, 0, 0, this.begunBytes);
      this.begun = larger;
    }
    chunk.copy(this.begun, this.begunBytes, 0, length - this.begunBytes);
    this.begunBytes = length;
    return this.begun.subarray(0, length);
  }
}

/**
 * Tells what can never be a head before all of it is in: another protocol, a CR or LF that stands alone (which
 * would leave us waiting for an end in CRLF). `searched`: how far it was looked at before.
 */
function mayBecomeHead(bytes: Uint8Array, searched: number): boolean {
  if (!startsLikeHead(bytes)) return false;
  for (let i = Math.max(0, searched - 1); i < bytes.length; i++) {
    if (bytes[i] === LF && bytes[i - 1] !== CR) return false;
    if (bytes[i] === CR && i + 1 < bytes.length && bytes[i + 1] !== LF) return false;
  }
  return true;
}

/**
 * Reads a response head strictly (RFC 9112): where two readers could disagree about where the message ends, it
 * is malformed (null). Takes the bytes before `bytesEnd`, which end in the CRLF of the last line, without the empty
 * line. Statuses of 100 to 599 pass. `bodiless`: see `read`.
 */
export function parseResponseHead(bytes: Buffer, bytesEnd: number, bodiless: boolean): ResponseHead | null {
  // HTTP-version SP status-code SP [ reason-phrase ]; many leave out the second space with the reason.
  const minor = bytes[7]! - DIGIT_0;
  if (!startsLikeHead(bytes) || (minor !== 1 && minor !== 0) || bytes[8] !== SPACE) return null;
  const status = statusOf(bytes);
  if (status === null || (bytes[12] !== SPACE && bytes[12] !== CR)) return null;
  const lineEnd = endOfText(bytes, 12);
  if (bytes[lineEnd] !== CR || bytes[lineEnd + 1] !== LF) return null;
  const headers = readFieldLines(bytes, lineEnd + 2, bytesEnd, HEADERS_MAX);
  return typeof headers === "string" ? null : framed(status, minor === 1, headers, bodiless);
}

/** Tells whether these are, as far as they go, the first bytes of a head. */
function startsLikeHead(bytes: Uint8Array): boolean {
  for (let i = 0; i < FIRST_BYTES.length && i < bytes.length; i++) {
    if (bytes[i] !== FIRST_BYTES[i]) return false;
  }
  return true;
}

/** The three digits of the status, or null. */
function statusOf(bytes: Uint8Array): number | null {
  const a = bytes[9]! - DIGIT_0;
  const b = bytes[10]! - DIGIT_0;
  const c = bytes[11]! - DIGIT_0;
  const areDigits = a >= 1 && a <= 5 && b >= 0 && b <= 9 && c >= 0 && c <= 9;
  return areDigits ? a * 100 + b * 10 + c : null;
}

/** Draws from the fields where the body ends (RFC 9112 6.3) and what becomes of the connection. */
function framed(
  status: number,
  http11: boolean,
  headers: HeaderList,
  bodiless: boolean,
): ResponseHead | null {
  let length: number | null = null;
  let isChunked = false;
  let keepAlive = http11;
  let keepAliveMs: number | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    // By length first: most fields are of no interest here.
    if (name.length !== 14 && name.length !== 17 && name.length !== 10) continue;
    const value = headers[i + 1]!;
    switch (lowerName(name)) {
      case "content-length":
        if (length !== null || !LENGTH.test(value)) return null;
        length = Number(value);
        break;
      case "transfer-encoding":
        // What HTTP/1.0 or a second coding means by it is anybody's guess.
        if (isChunked || !http11 || value.toLowerCase() !== "chunked") return null;
        isChunked = true;
        break;
      case "connection":
        keepAlive &&= !hasClose(value);
        break;
      case "keep-alive":
        keepAliveMs = keepAliveMsOf(value);
        break;
    }
  }
  if (length !== null && isChunked) return null;
  if (bodiless || status === 204 || status === 304 || status < 200) {
    // After a 204 that announces a body the sender may believe that it has sent one.
    if (status === 204 && (isChunked || (length ?? 0) > 0)) keepAlive = false;
    return { status, headers, framing: "none", keepAlive, keepAliveMs };
  }
  if (isChunked) return { status, headers, framing: "chunked", keepAlive, keepAliveMs };
  if (length !== null) return { status, headers, framing: length, keepAlive, keepAliveMs };
  return { status, headers, framing: "until-close", keepAlive: false, keepAliveMs };
}

function hasClose(value: string): boolean {
  if (value === "keep-alive") return false;
  return value.split(",").some((option) => trimOws(option).toLowerCase() === "close");
}

function keepAliveMsOf(value: string): number | null {
  const seconds = KEEP_ALIVE_TIMEOUT.exec(value)?.[1];
  return seconds === undefined ? null : Number(seconds) * 1000;
}
