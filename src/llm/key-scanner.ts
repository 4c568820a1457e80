import { assert } from "../shared/assert.ts";

const QUOTE = 34;
const COLON = 58;
const SPACE = 32;
/** First bytes of `null`, `false` and `0`. */
const LOWER_N = 110;
const LOWER_F = 102;
const ZERO = 48;

/**
 * Tells without parsing whether a JSON text has one of a few keys, at any depth, with a value other than null, false
 * or 0. Most events of a stream have not, and need no parsing.
 *
 * In JSON a quote within a string is escaped, so the bytes `"usage"` before a colon are the end of a key (`usage`, or
 * one that ends in `\"usage`) and never text. A "yes" is thus rare and cheap to check by parsing; a "no" is wrong only
 * for a key that is written with escapes, `"us\u0061ge"`, which no known server does.
 *
 * Searches by pairs of bytes from the end of a window as long as the shortest key, and leaps ahead by what the pair
 * allows (Wu and Manber, "A fast algorithm for multi-pattern searching", 1994): about one step per six bytes.
 */
export class KeyScanner {
  private readonly window: number;
  /** By pair of bytes: how far the window may move on; 0 = a key may begin at its start. */
  private readonly leap: Uint8Array;
  /** By first byte of the name: the quoted key. */
  private readonly keyOf: (Uint8Array | undefined)[];

  /** Takes the keys: ASCII, at least two letters, each with a first letter of its own. */
  constructor(keys: readonly string[]) {
    const quoted = keys.map((key) => new TextEncoder().encode(`"${key}"`));
    this.window = Math.min(...quoted.map((key) => key.length));
    this.leap = new Uint8Array(0x10000).fill(this.window - 1);
    this.keyOf = new Array<Uint8Array | undefined>(256).fill(undefined);
    for (const key of quoted) {
      const first = key[1]!;
      assert(key.length > 3 && this.keyOf[first] === undefined, "keys differ in their first letter");
      this.keyOf[first] = key;
      for (let i = 1; i < this.window; i++) {
        const pair = (key[i - 1]! << 8) | key[i]!;
        this.leap[pair] = Math.min(this.leap[pair]!, this.window - 1 - i);
      }
    }
  }

  /** Looks from `start` up to, not including, `end`. */
  test(bytes: Uint8Array, start: number, end: number): boolean {
    const window = this.window;
    const leap = this.leap;
    let last = start + window - 1;
    while (last < end) {
      const step = leap[(bytes[last - 1]! << 8) | bytes[last]!]!;
      if (step !== 0) {
        last += step;
        continue;
      }
      const at = last - window + 1;
      last++;
      if (bytes[at] !== QUOTE) continue;
      const key = this.keyOf[bytes[at + 1]!];
      if (key === undefined) continue;
      let i = 2;
      while (i < key.length && bytes[at + i] === key[i]) i++;
      if (i === key.length && at + i < end && isTelling(bytes, at + i, end)) return true;
    }
    return false;
  }
}

/** Whether a colon and a value other than null, false or 0 stand at `at`. */
function isTelling(bytes: Uint8Array, at: number, end: number): boolean {
  while (at < end && bytes[at]! <= SPACE) at++;
  if (bytes[at] !== COLON) return false;
  at++;
  while (at < end && bytes[at]! <= SPACE) at++;
  const first = at < end ? bytes[at] : LOWER_N;
  return first !== LOWER_N && first !== LOWER_F && first !== ZERO;
}
