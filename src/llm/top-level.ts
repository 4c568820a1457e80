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
const SHORT_STRING_BYTES = 24;

/** A string costs as many steps as this many other bytes. */
const STRING_STEPS = 4;

/** Where a value lies: from `start` up to, not including, `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Where the values lie, in the order of the names; null = not found. */
export interface FoundMembers {
  readonly spans: readonly (Span | null)[];
  /** The whole object was read, so what was not found is not there. */
  readonly isWhole: boolean;
}

/**
 * Finds members at the top level of a JSON object without parsing it: forward from its beginning, and from its end
 * backward for those not found so. SDKs write `messages`, long as it may be, before or after everything else, so most
 * bodies are settled within a few members of one end, and its strings are leapt over.
 *
 * Backward reading is exact: in JSON a quote belongs to a string's content if and only if an odd number of backslashes
 * stand before it, whichever way one reads.
 */
export class TopLevel {
  private readonly bytes: Uint8Array;
  private readonly names: readonly Uint8Array[];
  private readonly found: (Span | null)[];
  private missing: number;
  /** How many of the first names must be found before the search may end early; 0 = it is near its end. */
  private wanted: number;
  /** Steps that are left then. */
  private stepsBeyond = 0;
  private isWhole = false;
  /** Bytes and strings that may still be looked at in this direction. */
  private steps = 0;

  private constructor(bytes: Uint8Array, names: readonly Uint8Array[]) {
    this.bytes = bytes;
    this.names = names;
    this.found = names.map(() => null);
    this.missing = names.length;
    this.wanted = names.length;
  }

  /**
   * Looks for members by name, within `stepsMax` steps from the beginning and as many from the end: a byte outside
   * strings is one, a string four.
   * Names are ASCII and need no escapes. Of a repeated name the first found counts. Anything but a JSON object has no
   * members. Never throws.
   */
  static find(bytes: Uint8Array, names: readonly Uint8Array[], stepsMax: number): FoundMembers {
    const scan = new TopLevel(bytes, names);
    scan.steps = stepsMax;
    const isOver = scan.forward();
    scan.steps = stepsMax;
    if (!isOver) scan.backward();
    return { spans: scan.found, isWhole: isOver && scan.isWhole };
  }

  /**
   * Looks first from the end, and for what was not found so from the beginning. Once the first `wanted` of the names are
   * found, the others are looked for only near them: within `stepsBeyond` steps, and not past an array that holds
   * something, which is what makes bodies long.
   */
  static findFromEnd(
    bytes: Uint8Array,
    names: readonly Uint8Array[],
    wanted: number,
    stepsMax: number,
    stepsBeyond: number,
  ): readonly (Span | null)[] {
    const scan = new TopLevel(bytes, names);
    scan.wanted = wanted;
    scan.stepsBeyond = stepsBeyond;
    scan.steps = stepsMax;
    if (bytes[scan.blanksAfter(0)] !== LEFT_BRACE || scan.backward()) return scan.found;
    scan.steps = scan.wanted === 0 ? stepsBeyond : stepsMax;
    scan.forward();
    return scan.found;
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
    for (let i = 0; i < this.names.length; i++) {
      const name = this.names[i]!;
      if (this.found[i] !== null || name.length !== keyEnd - keyStart) continue;
      let same = 0;
      while (same < name.length && this.bytes[keyStart + same] === name[same]) same++;
      if (same < name.length) continue;
      this.found[i] = { start, end };
      this.missing--;
      if (i < this.wanted && this.found.indexOf(null) >= this.wanted) {
        this.wanted = 0;
        this.steps = Math.min(this.steps, this.stepsBeyond);
      }
      return;
    }
  }

  private blanksAfter(at: number): number {
    const { bytes } = this;
    while (at < bytes.length && bytes[at]! <= SPACE && this.steps-- > 0) at++;
    return at;
  }

  private blanksBefore(at: number): number {
    const { bytes } = this;
    while (at >= 0 && bytes[at]! <= SPACE && this.steps-- > 0) at--;
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
    if (this.wanted === 0 && bytes[at] === LEFT_BRACKET && bytes[at + 1] !== RIGHT_BRACKET) return -1;
    let depth = 0;
    for (; at < bytes.length && this.steps-- > 0; at++) {
      const byte = bytes[at];
      if (byte === QUOTE) {
        at = this.stringEnd(at + 1);
        if (at < 0) return -1;
        if (depth === 0) return at + 1;
      } else if (byte === LEFT_BRACE || byte === LEFT_BRACKET) {
        depth++;
      } else if (byte === RIGHT_BRACE || byte === RIGHT_BRACKET) {
        // At depth 0 it closes the object, and ends a number or word before it.
        if (depth === 0) return at;
        if (--depth === 0) return at + 1;
      } else if (byte === COMMA && depth === 0) return at;
    }
    return -1;
  }

  /** Gives the position where the value that ends at `at` begins; -1 when that is not within bounds. */
  private valueStart(at: number): number {
    const { bytes } = this;
    if (this.wanted === 0 && bytes[at] === RIGHT_BRACKET && bytes[at - 1] !== LEFT_BRACKET) return -1;
    let depth = 0;
    for (; at >= 0 && this.steps-- > 0; at--) {
      const byte = bytes[at];
      if (byte === QUOTE) {
        at = this.stringStart(at - 1);
        if (at < 0 || depth === 0) return at;
      } else if (byte === RIGHT_BRACE || byte === RIGHT_BRACKET) {
        depth++;
      } else if (byte === LEFT_BRACE || byte === LEFT_BRACKET) {
        if (--depth <= 0) return depth < 0 ? -1 : at;
      } else if (byte === COLON && depth === 0) return this.blanksAfter(at + 1);
    }
    return -1;
  }
}
