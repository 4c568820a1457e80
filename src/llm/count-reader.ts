import { assert } from "../shared/assert.ts";
import type { JsonObject } from "./json.ts";

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const ZERO = 48;
const NINE = 57;
const SPACE = 32;
const LEFT_BRACKET = 91;
const BACKSLASH = 92;
const RIGHT_BRACKET = 93;
const LOWER_N = 110;
const LEFT_BRACE = 123;
const RIGHT_BRACE = 125;

/** A number of more digits may have no exact place in a double. */
const DIGITS_MAX = 15;
const DEPTH_MAX = 4;
/** Longer objects hold more than counts. */
const BYTES_MAX = 4096;

interface Name {
  readonly text: string;
  readonly bytes: Uint8Array;
}

/**
 * Reads counts, and objects of counts as usage is, straight from their bytes: for `JSON.parse` a text would have to be made
 * of them, for which the allocator must find room.
 *
 * Of an object only members with known names are read. Of the others it is found out where they end, not whether they
 * are JSON.
 */
export class CountReader {
  /** By length and first letter. */
  private readonly names = new Map<number, Name>();
  private at = 0;
  private end = 0;

  /** Takes the names: ASCII, without need of escapes, no two with both the same length and the same first letter. */
  constructor(names: readonly string[]) {
    for (const text of names) {
      const bytes = new TextEncoder().encode(text);
      const key = keyOf(bytes[0]!, bytes.length);
      assert(bytes.length > 0 && !this.names.has(key), "names differ in length or first letter");
      this.names.set(key, { text, bytes });
    }
  }

  /**
   * Gives what `JSON.parse` would of the count or object that is written from `start` to before `end`, without members of
   * unknown names. Null when it is not as simple as that, and must be parsed to be known: known members that are neither
   * counts nor such objects nor null, strings with escapes, members that do not end.
   */
  read(bytes: Uint8Array, start: number, end: number): JsonObject | number | null {
    if (end - start > BYTES_MAX) return null;
    this.at = start;
    this.end = end;
    const value = this.value(bytes, DEPTH_MAX);
    return value !== undefined && this.at === end ? value : null;
  }

  // Undefined, here and below: it is not as simple as that.
  private value(bytes: Uint8Array, depth: number): JsonObject | number | null | undefined {
    const first = this.next(bytes);
    if (first === LEFT_BRACE) return this.object(bytes, depth);
    if (first === LOWER_N) return this.skipValue(bytes) ? null : undefined;
    return this.count(bytes);
  }

  private object(bytes: Uint8Array, depth: number): JsonObject | undefined {
    const found: Record<string, unknown> = {};
    this.at++;
    if (depth === 0) return undefined;
    if (this.next(bytes) === RIGHT_BRACE) {
      this.at++;
      return found;
    }
    for (;;) {
      if (this.next(bytes) !== QUOTE) return undefined;
      const keyStart = this.at + 1;
      if (!this.skipString(bytes)) return undefined;
      const name = this.find(bytes, keyStart, this.at - 1);
      if (this.next(bytes) !== COLON) return undefined;
      this.at++;
      if (name === null) {
        if (!this.skipValue(bytes)) return undefined;
      } else {
        const value = this.value(bytes, depth - 1);
        if (value === undefined) return undefined;
        found[name.text] = value;
      }
      const after = this.next(bytes);
      this.at++;
      if (after === RIGHT_BRACE) return found;
      if (after !== COMMA) return undefined;
    }
  }

  // Loops over bytes have their place in a variable: one in the object would be stored and loaded again for every byte.

  /** Goes over blanks to the next byte, and gives it; -1 at the end. */
  private next(bytes: Uint8Array): number {
    const { end } = this;
    let { at } = this;
    while (at < end && bytes[at]! <= SPACE) at++;
    this.at = at;
    return at < end ? bytes[at]! : -1;
  }

  /** Gives the name that is written from `from` to before `to`; null when it is not known. */
  private find(bytes: Uint8Array, from: number, to: number): Name | null {
    const length = to - from;
    // Of an empty one the quote behind it passes for the first letter; no known name is that short.
    const name = this.names.get(keyOf(bytes[from]!, length));
    if (name === undefined) return null;
    for (let i = 0; i < length; i++) if (bytes[from + i] !== name.bytes[i]) return null;
    return name;
  }

  /** What follows the digits, such as a fraction, is of no kind that may stand behind a value. */
  private count(bytes: Uint8Array): number | undefined {
    const { at: from, end } = this;
    let at = from;
    let value = 0;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte < ZERO || byte > NINE) break;
      value = value * 10 + (byte - ZERO);
    }
    this.at = at;
    const digits = at - from;
    // Leading zeros are no JSON.
    const isCount = digits > 0 && digits <= DIGITS_MAX && (digits === 1 || bytes[from] !== ZERO);
    return isCount ? value : undefined;
  }

  /** Goes behind a string. False when it does not end, or has escapes: a name may then be written in another way. */
  private skipString(bytes: Uint8Array): boolean {
    const { end } = this;
    let at = this.at + 1;
    while (at < end && bytes[at] !== QUOTE && bytes[at] !== BACKSLASH) at++;
    this.at = at + 1;
    return at < end && bytes[at] === QUOTE;
  }

  /** Goes to the comma or brace that ends a value. */
  private skipValue(bytes: Uint8Array): boolean {
    const { end } = this;
    let { at } = this;
    let depth = 0;
    while (at < end) {
      const byte = bytes[at]!;
      const isClosing = byte === RIGHT_BRACE || byte === RIGHT_BRACKET;
      if (depth === 0 && (byte === COMMA || isClosing)) {
        this.at = at;
        return true;
      }
      if (byte === QUOTE) {
        this.at = at;
        if (!this.skipString(bytes)) return false;
        at = this.at;
        continue;
      }
      if (isClosing) depth--;
      else if (byte === LEFT_BRACE || byte === LEFT_BRACKET) depth++;
      at++;
    }
    return false;
  }
}

function keyOf(firstByte: number, length: number): number {
  return length * 256 + firstByte;
}
