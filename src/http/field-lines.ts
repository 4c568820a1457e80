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
 * Names by a hash of their bytes, the last one of each hash: the few names that there are, are made to strings once,
 * and are then the same strings, which makes whatever looks at them fast. A name of whoever wants to fill the table
 * costs no more than a name without it.
 */
const NAMES_MAX = 1024;
const NAME_BYTES_MAX = 64;
const names: (string | null)[] = Array.from({ length: NAMES_MAX }, () => null);

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
  const headers: HeaderList = [];
  const first = at;
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
    if (headers.length === 2 * headersMax) return "too-many";
    let from = colon + 1;
    let to = lineEnd;
    while (from < to && isBlank(bytes[from]!)) from++;
    while (to > from && isBlank(bytes[to - 1]!)) to--;
    headers.push(nameOf(bytes, at, colon, hash), text.slice(from - first, to - first));
    at = lineEnd + 2;
  }
  return headers;
}

/** Where the text that begins at `at` ends: at the first control character, mostly the CR of its line. */
export function endOfText(bytes: Uint8Array, at: number): number {
  while ((CLASSES[bytes[at]!]! & TEXT_CLASS) !== 0) at++;
  return at;
}

/** RFC 9110 5.6.3: what may stand around a value. */
function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

function nameOf(bytes: Buffer, from: number, to: number, hash: number): string {
  const slot = hash & (NAMES_MAX - 1);
  const known = names[slot]!;
  if (known !== null && isSame(known, bytes, from, to)) return known;
  // A string of its own: a cut one would hold the whole head in memory.
  const name = bytes.toString("latin1", from, to);
  if (to - from <= NAME_BYTES_MAX) names[slot] = name;
  return name;
}

function isSame(name: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) {
    if (name.charCodeAt(i) !== bytes[from + i]) return false;
  }
  return true;
}
