import { ByteMemo } from "./byte-memo.ts";
import type { HeaderList } from "./exchange.ts";
import { endOfText, isTokenByte } from "./syntax.ts";

/** Why field lines are refused: a name that is none, a byte that no value may hold, or more fields than allowed. */
export type FieldLinesError = "bad-name" | "bad-value" | "too-many";

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;

/**
 * Where a list of fields is put together: one that grows is moved again and again. Given out is a copy. Keeps what the
 * last heads left there, at most one head for each field that is allowed.
 */
const growing: HeaderList = [];
/** The few names that there are, and the values that clients and upstreams say again and again. */
const names = new ByteMemo(1024, (name) => name);
const values = new ByteMemo(1024, (value) => value);

/**
 * Reads the field lines in `bytes` from `at` to before `end`, where the last line's CRLF ends (RFC 9112 5). Strict:
 * no blank before a colon, no folding, no control character, no CR or LF but at the end of a line.
 */
export function readFieldLines(
  bytes: Buffer,
  at: number,
  end: number,
  headersMax: number,
): HeaderList | FieldLinesError {
  let length = 0;
  while (at < end) {
    let hash = 0;
    let colon = at;
    for (let byte = bytes[colon]!; isTokenByte(byte); byte = bytes[++colon]!)
      hash = (Math.imul(hash, 31) + byte) | 0;
    if (colon === at || bytes[colon] !== COLON) return "bad-name";
    const lineEnd = endOfText(bytes, colon + 1);
    if (bytes[lineEnd] !== CR || bytes[lineEnd + 1] !== LF) return "bad-value";
    if (length === 2 * headersMax) return "too-many";
    let from = colon + 1;
    let to = lineEnd;
    while (from < to && isBlank(bytes[from]!)) from++;
    while (to > from && isBlank(bytes[to - 1]!)) to--;
    growing[length++] = names.get(bytes, at, colon, hash);
    growing[length++] = values.get(bytes, from, to, hashOf(bytes, from, to));
    at = lineEnd + 2;
  }
  return growing.slice(0, length);
}

/** Of a few of the bytes: values that differ do so mostly in their length, or there. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  if (from === to) return 0;
  const middle = (from + to) >>> 1;
  return (
    Math.imul(to - from, 37) ^ (bytes[from]! << 2) ^ Math.imul(bytes[middle]!, 11) ^ (bytes[to - 1]! << 3)
  );
}

/** RFC 9110 5.6.3: what may stand around a value. */
function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}
