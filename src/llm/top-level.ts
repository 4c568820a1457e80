const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;
const SPACE = 32;
const LEFT_BRACE = 123;
const RIGHT_BRACE = 125;
const LEFT_BRACKET = 91;
const RIGHT_BRACKET = 93;
/** Strings are mostly short; a longer one is leapt over with a native search. */
const SHORT_STRING_BYTES = 32;

/** A string costs as many steps as this many other bytes. */
const STRING_STEPS = 4;

const NOTHING = new Uint8Array(0);

/**
 * Finds members at the top level of a JSON object without parsing it: forward from its beginning, and from its end
 * backward for those not found so. SDKs write `messages`, long as it may be, before or after everything else, so most
 * bodies are settled within a few members of one end, and its strings are leapt over.
 *
 * Backward reading is exact: in JSON a quote belongs to a string's content if and only if an odd number of backslashes
 * stand before it, whichever way one reads.
 *
 * One object serves for many texts, one after the other, and holds where the members of the last one lie.
 */
export class TopLevel {
  /** After `find`: the whole object was read, so what was not found is not there. */
  isWhole = false;
  /** After `find`: all was found from the beginning, so nothing behind it could change that. */
  isSettledByBeginning = false;
  private readonly names: readonly Uint8Array[];
  private bytes: Uint8Array = NOTHING;
  /** Where the values lie, in the order of the names; -1 = not found. */
  private readonly starts: Int32Array;
  private readonly ends: Int32Array;
  private missing = 0;
  /** How many of the first names are still to be found before the search may end early. */
  private wantedMissing = 0;
  private wanted = 0;
  /** Steps that are left then. */
  private stepsBeyond = 0;
  /** An array that holds something, which is what makes bodies long, ends the search in its direction. */
  private stopsAtArrays = false;
  /** Bytes and strings that may still be looked at in this direction. */
  private steps = 0;

  /** Names are ASCII and need no escapes. */
  constructor(names: readonly Uint8Array[]) {
    this.names = names;
    this.starts = new Int32Array(names.length);
    this.ends = new Int32Array(names.length);
  }

  /** Where the value of the name with this index begins; -1 when it was not found. */
  start(index: number): number {
    return this.starts[index]!;
  }

  /** The position behind that value. */
  end(index: number): number {
    return this.ends[index]!;
  }

  /**
   * Looks for the members, within `stepsMax` steps from the beginning and as many from the end: a byte outside strings is
   * one, a string four. Of a repeated name the first found counts. Anything but a JSON object has no members. Never throws.
   */
  find(bytes: Uint8Array, stepsMax: number): void {
    this.begin(bytes, 0, 0);
    this.stopsAtArrays = false;
    this.steps = stepsMax;
    const isOver = this.forward();
    this.isSettledByBeginning = this.missing === 0;
    this.steps = stepsMax;
    if (!isOver) this.backward();
    this.bytes = NOTHING;
  }

  /**
   * Looks first from the end, and for what was not found so from the beginning; past arrays only where one of the first
   * `wanted` names is missing. Once these are found, the others are looked for only near them, within `stepsBeyond` steps.
   */
  findFromEnd(bytes: Uint8Array, wanted: number, stepsMax: number, stepsBeyond: number): void {
    this.begin(bytes, wanted, stepsBeyond);
    this.steps = stepsMax;
    if (bytes[this.blanksAfter(0)] === LEFT_BRACE) {
      this.stopsAtArrays = true;
      this.bothWays(stepsMax);
      this.stopsAtArrays = false;
      if (this.wantedMissing > 0) this.bothWays(stepsMax);
    }
    this.bytes = NOTHING;
  }

  private begin(bytes: Uint8Array, wanted: number, stepsBeyond: number): void {
    this.bytes = bytes;
    this.starts.fill(-1);
    this.missing = this.names.length;
    this.wanted = wanted;
    this.wantedMissing = wanted;
    this.stepsBeyond = stepsBeyond;
    this.isWhole = false;
  }

  private bothWays(stepsMax: number): void {
    this.steps = stepsMax;
    if (this.backward()) return;
    this.steps = this.wantedMissing === 0 ? this.stepsBeyond : stepsMax;
    this.forward();
  }

  /** True when all is found, or there is nothing more to find. */
  private forward(): boolean {
    const { bytes } = this;
    let at = this.blanksAfter(0);
    if (bytes[at] !== LEFT_BRACE) return true;
    do {
      at = this.blanksAfter(at + 1);
      if (bytes[at] !== QUOTE) break;
      const keyStart = at + 1;
      const keyEnd = this.stringEnd(keyStart);
      if (keyEnd < 0) return this.steps > 0;
      at = this.blanksAfter(keyEnd + 1);
      if (bytes[at] !== COLON) return true;
      const start = this.blanksAfter(at + 1);
      const end = this.valueEnd(start);
      if (end < 0) return this.steps > 0;
      this.take(keyStart, keyEnd, start, end);
      at = this.blanksAfter(end);
    } while (bytes[at] === COMMA && this.missing > 0);
    this.isWhole = bytes[at] === RIGHT_BRACE;
    return true;
  }

  /** True when all is found. */
  private backward(): boolean {
    const { bytes } = this;
    let at = this.blanksBefore(bytes.length - 1);
    if (bytes[at] !== RIGHT_BRACE) return false;
    do {
      const end = this.blanksBefore(at - 1) + 1;
      const start = this.valueStart(end - 1);
      if (start < 0) return false;
      at = this.blanksBefore(start - 1);
      if (bytes[at] !== COLON) return false;
      const keyEnd = this.blanksBefore(at - 1);
      if (bytes[keyEnd] !== QUOTE) return false;
      const keyStart = this.stringStart(keyEnd - 1) + 1;
      if (keyStart <= 0) return false;
      this.take(keyStart, keyEnd, start, end);
      at = this.blanksBefore(keyStart - 2);
    } while (bytes[at] === COMMA && this.missing > 0);
    return this.missing === 0;
  }

  private take(keyStart: number, keyEnd: number, start: number, end: number): void {
    const { bytes, names, starts } = this;
    for (let i = 0; i < names.length; i++) {
      const name = names[i]!;
      if (starts[i]! >= 0 || name.length !== keyEnd - keyStart) continue;
      let same = 0;
      while (same < name.length && bytes[keyStart + same] === name[same]) same++;
      if (same < name.length) continue;
      starts[i] = start;
      this.ends[i] = end;
      this.missing--;
      if (i < this.wanted && --this.wantedMissing === 0) {
        this.stopsAtArrays = true;
        this.steps = Math.min(this.steps, this.stepsBeyond);
      }
      return;
    }
  }

  // Loops over bytes count steps in a variable: one in the object would be stored and loaded again for every byte.

  private blanksAfter(at: number): number {
    const { bytes } = this;
    const from = at;
    const limit = Math.min(bytes.length, at + this.steps);
    while (at < limit && bytes[at]! <= SPACE) at++;
    this.steps -= at - from;
    return at;
  }

  private blanksBefore(at: number): number {
    const { bytes } = this;
    const from = at;
    const limit = Math.max(-1, at - this.steps);
    while (at > limit && bytes[at]! <= SPACE) at--;
    this.steps -= from - at;
    return at;
  }

  /** Gives the position of the quote that closes a string whose content begins at `at`; -1 without one. */
  private stringEnd(at: number): number {
    const { bytes } = this;
    const short = Math.min(bytes.length, at + SHORT_STRING_BYTES);
    for (this.steps -= STRING_STEPS; at < short; at++) {
      if (bytes[at] === BACKSLASH) at++;
      else if (bytes[at] === QUOTE) return at;
    }
    for (let from = at; this.steps > 0;) {
      const quote = bytes.indexOf(QUOTE, from);
      if (quote < 0) return -1;
      if (!this.isEscaped(quote, at)) return quote;
      from = quote + 1;
    }
    return -1;
  }

  /** Gives the position of the quote that opens a string whose content ends at `at`; -1 without one. */
  private stringStart(at: number): number {
    const { bytes } = this;
    this.steps -= STRING_STEPS;
    for (const short = Math.max(0, at - SHORT_STRING_BYTES); at >= short; at--) {
      if (bytes[at] !== QUOTE) continue;
      if (bytes[at - 1] !== BACKSLASH) return at;
      break;
    }
    while (this.steps > 0 && at >= 0) {
      const quote = bytes.lastIndexOf(QUOTE, at);
      if (quote < 0) return -1;
      if (!this.isEscaped(quote, 0)) return quote;
      at = quote - 1;
    }
    return -1;
  }

  private isEscaped(quote: number, from: number): boolean {
    let at = quote - 1;
    while (at >= from && this.bytes[at] === BACKSLASH) at--;
    const backslashes = quote - 1 - at;
    this.steps -= 1 + backslashes;
    return (backslashes & 1) === 1;
  }

  /** Gives the position after the value that begins at `at`; -1 when it does not end within bounds. */
  private valueEnd(at: number): number {
    const { bytes } = this;
    if (this.stopsAtArrays && bytes[at] === LEFT_BRACKET && bytes[at + 1] !== RIGHT_BRACKET) return -1;
    let depth = 0;
    let { steps } = this;
    let end = -1;
    for (; at < bytes.length && steps > 0 && end < 0; at++) {
      steps--;
      const byte = bytes[at];
      if (byte === QUOTE) {
        this.steps = steps;
        at = this.stringEnd(at + 1);
        steps = this.steps;
        if (at < 0) break;
        if (depth === 0) end = at + 1;
      } else if (byte === LEFT_BRACE || byte === LEFT_BRACKET) {
        depth++;
      } else if (byte === RIGHT_BRACE || byte === RIGHT_BRACKET) {
        // At depth 0 it closes the object, and ends a number or word before it.
        if (depth === 0) end = at;
        else if (--depth === 0) end = at + 1;
      } else if (byte === COMMA && depth === 0) end = at;
    }
    this.steps = steps;
    return end;
  }

  /** Gives the position where the value that ends at `at` begins; -1 when that is not within bounds. */
  private valueStart(at: number): number {
    const { bytes } = this;
    if (this.stopsAtArrays && bytes[at] === RIGHT_BRACKET && bytes[at - 1] !== LEFT_BRACKET) return -1;
    let depth = 0;
    let { steps } = this;
    let start = -1;
    for (; at >= 0 && steps > 0 && start < 0; at--) {
      steps--;
      const byte = bytes[at];
      if (byte === QUOTE) {
        this.steps = steps;
        at = this.stringStart(at - 1);
        steps = this.steps;
        if (at < 0) break;
        if (depth === 0) start = at;
      } else if (byte === RIGHT_BRACE || byte === RIGHT_BRACKET) {
        depth++;
      } else if (byte === LEFT_BRACE || byte === LEFT_BRACKET) {
        if (--depth < 0) break;
        if (depth === 0) start = at;
      } else if (byte === COLON && depth === 0) start = at + 1;
    }
    this.steps = steps;
    return start < 0 ? -1 : this.blanksAfter(start);
  }
}
