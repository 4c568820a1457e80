import { ByteMemo } from "./byte-memo.ts";
import type { HeaderList } from "./exchange.ts";
import { NOT_FIELD_TEXT, TOKEN } from "./syntax.ts";

/** Why field lines are refused: a name that is none, a byte that no value may hold, or more fields than allowed. */
export type FieldLinesError = "bad-name" | "bad-value" | "too-many";

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
const TOKEN_CLASS = 1;
const TEXT_CLASS = 2;
/** For each byte: may it stand in a name, in a value? A table, as this is asked for every byte that comes in. */
const CLASSES = new Uint8Array(256);
for (let code = 0; code < 256; code++) {
  const char = String.fromCharCode(code);
  CLASSES[code] = (TOKEN.test(char) ? TOKEN_CLASS : 0) | (NOT_FIELD_TEXT.test(char) ? 0 : TEXT_CLASS);
}

/**
 * Where a list of fields is put together: one that grows is moved again and again. Given out is a copy. Keeps what the
 * last heads left there, at most one head for each field that is allowed.
 */
const growing: HeaderList = [];
/** The few names that there are. */
const names = new ByteMemo(1024, (name) => name);

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
  const first = at;
  let length = 0;
  // The bytes are looked at, and the text is cut: the fastest way to strings.
  const text = bytes.toString("latin1", first, end);
  while (at < end) {
    let hash = 0;
    let colon = at;
    for (let byte = bytes[colon]!; (CLASSES[byte]! & TOKEN_CLASS) !== 0; byte = bytes[++colon]!)
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
    growing[length++] = text.slice(from - first, to - first);
    at = lineEnd + 2;
  }
  return growing.slice(0, length);
}

/** Whether a value may hold this byte; false also for what stands for none behind the last one. */
export function isTextByte(byte: number): boolean {
  return (CLASSES[byte]! & TEXT_CLASS) !== 0;
}

/** Where the text that begins at `at` ends: at the first control character, mostly the CR of its line. */
export function endOfText(bytes: Uint8Array, at: number): number {
  while (isTextByte(bytes[at]!)) at++;
  return at;
}

/** RFC 9110 5.6.3: what may stand around a value. */
function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}
