import { trimOws } from "../shared/trim.ts";
import { ByteMemo } from "./byte-memo.ts";
import type { HeaderList } from "./exchange.ts";
import { type FieldLinesError, readFieldLines } from "./field-lines.ts";
import { FieldKinds } from "./field-names.ts";
import { isTextByte, TOKEN } from "./syntax.ts";

/** What a request head says, once it is known to be beyond doubt. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderList;
  /** HTTP/1.1, as against 1.0. */
  readonly http11: boolean;
  /** Declared bytes of the body; -1 = chunked. */
  readonly contentLength: number;
  readonly keepAlive: boolean;
  readonly expectsContinue: boolean;
}

/** Stands in where there was no request: keeps nothing open, and its answer has a body. */
export const NO_REQUEST: RequestHead = {
  method: "GET",
  target: "/",
  headers: [],
  http11: true,
  contentLength: 0,
  keepAlive: false,
  expectsContinue: false,
};

/** Why a head is refused: the status to answer with, and a text for people. */
export interface HeadError {
  readonly status: 400 | 405 | 417 | 431 | 501 | 505;
  readonly message: string;
}

/** A list of header fields is at most this long unless another bound is set; SDKs send 15 to 30. */
export const HEADERS_MAX = 200;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

const LOOKALIKE = 1;
const EXPECT = 2;
const CONNECTION = 3;
/** From here on: fields of which there may be one at most. */
const FIRST_SINGLE = 4;
const HOST = 4;
const LENGTH = 5;
const CODING = 6;
/** Credentials: of two it is not clear which one the upstream would take, and joined they are a third. */
const OTHER_SINGLES = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "content-type"];
const KINDS = new FieldKinds([
  ["content_length", LOOKALIKE],
  ["transfer_encoding", LOOKALIKE],
  ["expect", EXPECT],
  ["connection", CONNECTION],
  ["host", HOST],
  ["content-length", LENGTH],
  ["transfer-encoding", CODING],
  ...OTHER_SINGLES.map((name, i) => [name, CODING + 1 + i] as const),
]);
const CR = 0x0d;
const LF = 0x0a;
const END_OF_HEAD = Buffer.from("\r\n\r\n", "latin1");
const HOST_TEXT = /^(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~!$&'()*+;=%-]+)(?::\d{1,5})?$/;
const TARGET = /^\/[\x21\x22\x24-\x5b\x5d-\x7e]*$/;
const ABSOLUTE_TARGET = /^https?:\/\/([^/?#]*)(.*)$/i;
/**
 * `.` and `..` as a whole segment, as anybody may read it: also with escaped dots, between slashes that become
 * such only when an upstream unescapes them first, or behind parameters (`..;x`) that it strips.
 */
const DOT_SEGMENT = /(?:\/|%2f|%5c)(?:\.|%2e){1,2}(?:\/|%2f|%5c|;|$)/i;

function bad(message: string): HeadError {
  return { status: 400, message };
}

/**
 * Reads a request head strictly (RFC 9112): where two readers could disagree about what is asked, or where
 * the message ends, it is refused. Takes the bytes from `from` to before `end`, which end in the CRLF of the last line,
 * without the empty line.
 */
export function parseRequestHead(
  bytes: Buffer,
  from: number = 0,
  end: number = bytes.length,
  headersMax: number = HEADERS_MAX,
): RequestHead | HeadError {
  let lineEnd = from;
  let hash = 0;
  for (let byte = bytes[from]!; isTextByte(byte); byte = bytes[++lineEnd]!)
    hash = (Math.imul(hash, 31) + byte) | 0;
  if (bytes[lineEnd] !== CR || bytes[lineEnd + 1] !== LF)
    return bad("The request line holds a control character.");
  const line = lines.get(bytes, from, lineEnd, hash);
  if ("status" in line) return line;
  const headers = readFieldLines(bytes, lineEnd + 2, end, headersMax);
  return typeof headers === "string" ? fieldError(headers, headersMax) : framed(line, headers);
}

/** What the first line of a request says. */
interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly http11: boolean;
}

/** A client asks for the same over and over. */
const lines = new ByteMemo(256, parseRequestLine);

function parseRequestLine(line: string): RequestLine | HeadError {
  const parts = line.split(" ");
  const [method, rawTarget, version] = parts;
  if (parts.length !== 3 || method === undefined || rawTarget === undefined || version === undefined)
    return bad("The request line must be: method, target, version.");
  if (!TOKEN.test(method)) return bad("The method is not a token.");
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0")
    return { status: 505, message: "Only HTTP/1.1 and HTTP/1.0 are spoken here." };
  // A tunnel has no place here, and TRACE would send the client's credentials back to it. Of names that no
  // LLM API uses we cannot be sure that they reach an upstream as they are.
  if (method === "CONNECT" || method === "TRACE")
    return { status: 405, message: `The method ${method} is not allowed.` };
  if (!METHODS.has(method)) return { status: 501, message: "The method is not known." };
  const target = originForm(rawTarget);
  return typeof target === "string" ? { method, target, http11: version === "HTTP/1.1" } : target;
}

function fieldError(error: FieldLinesError, headersMax: number): HeadError {
  switch (error) {
    case "bad-name":
      return bad("A header line has no valid name.");
    case "bad-value":
      return bad("A header line holds a control character.");
    case "too-many":
      return { status: 431, message: `A request may have at most ${headersMax} header fields.` };
  }
}

/** The target as path and query. An absolute one names an authority, which never chooses where we send. */
function originForm(rawTarget: string): string | HeadError {
  let target = rawTarget;
  const absolute = rawTarget.startsWith("/") ? null : ABSOLUTE_TARGET.exec(rawTarget);
  if (absolute !== null) {
    if (!HOST_TEXT.test(absolute[1]!)) return bad("The request target names no valid host.");
    target = absolute[2]!.startsWith("/") ? absolute[2]! : `/${absolute[2]!}`;
  }
  if (!TARGET.test(target)) return bad("The request target is not a path.");
  // It reads as an authority, and URL parsers take it for one or drop a slash.
  if (target.startsWith("//")) return bad("The path begins with two slashes.");
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  // They would climb out of the upstream's base path, which may be what separates one tenant from another.
  if ((path.includes("/.") || path.includes("%")) && DOT_SEGMENT.test(path))
    return bad("The path holds a dot segment.");
  return target;
}

/** Draws from the fields what decides where the message ends and what becomes of the connection. */
function framed({ method, target, http11 }: RequestLine, headers: HeaderList): RequestHead | HeadError {
  let host: string | null = null;
  let length: string | null = null;
  let coding: string | null = null;
  let expect: string | null = null;
  let connection = "";
  /** Bit n: a field of kind n was there. */
  let seen = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    const kind = KINDS.of(name);
    if (kind === 0) continue;
    const value = headers[i + 1]!;
    if (kind >= FIRST_SINGLE) {
      if ((seen & (1 << kind)) !== 0) return bad(`There is more than one ${name} header.`);
      seen |= 1 << kind;
    }
    switch (kind) {
      case HOST:
        host = value;
        break;
      case LENGTH:
        length = value;
        break;
      case CODING:
        coding = value;
        break;
      case LOOKALIKE:
        // Some servers read an underscore as a dash, and would see another message than we do.
        return bad(`The header ${name} looks like one that frames the message.`);
      case EXPECT:
        expect = value.toLowerCase();
        break;
      case CONNECTION:
        if (value !== "keep-alive") connection += `,${value.toLowerCase()}`;
        break;
    }
  }
  if (host === null ? http11 : !HOST_TEXT.test(host)) return bad("The Host header is missing or not a host.");
  if (coding !== null) {
    if (!http11) return bad("HTTP/1.0 has no Transfer-Encoding.");
    if (length !== null) return bad("Content-Length and Transfer-Encoding exclude each other.");
    if (coding.toLowerCase() !== "chunked") return bad("The only Transfer-Encoding understood is chunked.");
  }
  if (length !== null && !/^\d{1,15}$/.test(length)) return bad("The Content-Length is not a number.");
  if (expect !== null && expect !== "100-continue")
    return { status: 417, message: "The only expectation understood is 100-continue." };
  const options = connection === "" ? [] : connection.split(",").map(trimOws);
  return {
    method,
    target,
    headers,
    http11,
    contentLength: coding !== null ? -1 : length === null ? 0 : Number(length),
    // After a request that asks for an upgrade, which is not given, the bytes that follow have no sure meaning.
    keepAlive: http11 && !options.includes("close") && !options.includes("upgrade"),
    expectsContinue: http11 && expect !== null,
  };
}

/** RFC 9112 2.2: an empty line before the request line is a leftover of a sloppy client. */
export function startOfHead(input: Uint8Array): number {
  return input.length >= 2 && input[0] === CR && input[1] === LF ? 2 : 0;
}

/**
 * Finds the end of the head at the beginning of `input`: the position of its last line's CRLF, or null while
 * there is more to come. `searched`: how far it was looked at before.
 */
export function endOfHead(input: Buffer, searched: number, bytesMax: number): number | HeadError | null {
  const from = startOfHead(input);
  const end = input.indexOf(END_OF_HEAD, Math.max(from, searched - 3));
  if ((end < 0 ? input.length : end) > bytesMax)
    return { status: 431, message: `A request head may have at most ${bytesMax} bytes.` };
  if (end >= 0) return end;
  return mayBecomeHead(input, from, searched) ? null : bad("This is not HTTP.");
}

/**
 * Tells what can never be a head before all of it is in: binary noise (a TLS hello, an HTTP/2 preface), more
 * empty lines than one, a CR or LF that stands alone. `searched`: how far it was looked at before.
 */
export function mayBecomeHead(input: Uint8Array, from: number, searched: number): boolean {
  const first = input[from];
  if (
    first !== undefined &&
    (first < 0x21 || first > 0x7e) &&
    !(first === CR && from === 0 && input.length === 1)
  )
    return false;
  for (let i = Math.max(from, searched - 1); i < input.length; i++) {
    if (input[i] === LF && input[i - 1] !== CR) return false;
    if (input[i] === CR && i + 1 < input.length && input[i + 1] !== LF) return false;
  }
  return true;
}
