import type { MemberPhrase } from "./member-phrase.ts";
import { Phrase } from "./phrase.ts";
import { jsonText } from "./text.ts";

const START_BYTES = 32 * 1024;
const SPACE = 32;
const QUOTE = 34;
const POINT = 46;
const ZERO = 48;
const UPPER_Z = 90;
const BACKSLASH = 92;
const TILDE = 126;
/** Numbers below this have ten digits at most, and are counted off in integers. */
const SMALL_NUMBERS = 2 ** 31;
const DIGITS_MAX = 10;
/** The point and the thousandths. */
const DECIMALS_MAX = 4;
/** The thousandths of a second and the zone. */
const TIME_END_BYTES = 4;

/**
 * Lines as bytes, written piece by piece into memory that is used over and over: joining texts would make dozens of
 * them for each line, which costs the time of making them and that of clearing them away.
 */
export class LineBytes {
  /** Bytes written so far. May be set back, to forget what came after. */
  length = 0;
  private bytes = new Uint8Array(START_BYTES);
  private view = new DataView(this.bytes.buffer);
  private second = -1;
  /** The second that was written last, up to its point. */
  private readonly secondPhrase = new Phrase("");

  /** What was written, as it is until something else is. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** The same from a place on, as a text. */
  textFrom(from: number): string {
    return Buffer.from(this.bytes.buffer, from, this.length - from).toString("latin1");
  }

  /** Writes a text that is the same each time. */
  phrase(phrase: Phrase): void {
    this.reserve(phrase.room);
    phrase.write(this.view, this.length);
    this.length += phrase.length;
  }

  /** Writes a text that is known to be of ASCII. */
  ascii(text: string): void {
    this.reserve(text.length);
    const { bytes } = this;
    let at = this.length;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    this.length = at;
  }

  /** The same as `json` for a text that is mostly one of a few. */
  repeated(member: MemberPhrase, text: string | null): void {
    if (text === null) return this.phrase(member.none);
    if (text === member.value) return this.phrase(member.whole);
    this.json(member, text);
    member.missed(text);
  }

  /** Writes a member with a text, as `jsonText` does, or null. */
  json(member: MemberPhrase, text: string | null): void {
    if (text === null) return this.phrase(member.none);
    this.phrase(member.name);
    this.reserve(text.length + 2);
    const { bytes } = this;
    let at = this.length;
    bytes[at++] = QUOTE;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code < SPACE || code > TILDE || code === QUOTE || code === BACKSLASH)
        return this.ascii(jsonText(text));
      bytes[at++] = code;
    }
    bytes[at++] = QUOTE;
    this.length = at;
  }

  /** Writes a member with a number, or null. */
  number(member: MemberPhrase, value: number | null): void {
    if (value === null) return this.phrase(member.none);
    this.phrase(member.name);
    if (!isSmall(value)) return this.ascii(String(value));
    this.reserve(DIGITS_MAX);
    const { bytes } = this;
    const rest = value | 0;
    let end = this.length + 1;
    for (let tens = (rest / 10) | 0; tens > 0; tens = (tens / 10) | 0) end++;
    this.length = end;
    for (let left = rest; end > 0;) {
      const tens = (left / 10) | 0;
      bytes[--end] = ZERO + left - tens * 10;
      if (tens === 0) return;
      left = tens;
    }
  }

  /** Writes a member with a number to a thousandth, or null. */
  thousandths(member: MemberPhrase, value: number | null): void {
    if (value === null) return this.phrase(member.none);
    const rounded = Math.round(value * 1000);
    if (!isSmall(rounded)) return this.number(member, rounded / 1000);
    const whole = ((rounded | 0) / 1000) | 0;
    this.number(member, whole);
    let rest = (rounded | 0) - whole * 1000;
    if (rest === 0) return;
    this.reserve(DECIMALS_MAX);
    const { bytes } = this;
    let at = this.length;
    bytes[at++] = POINT;
    for (let worth = 100; rest > 0; worth = (worth / 10) | 0) {
      const digit = (rest / worth) | 0;
      bytes[at++] = ZERO + digit;
      rest -= digit * worth;
    }
    this.length = at;
  }

  /** Writes a time, in milliseconds since 1970, as ISO 8601 has it. */
  time(ms: number): void {
    const second = Math.floor(ms / 1000);
    if (second !== this.second) {
      this.second = second;
      this.secondPhrase.set(new Date(second * 1000).toISOString().slice(0, -"000Z".length));
    }
    this.phrase(this.secondPhrase);
    this.reserve(TIME_END_BYTES);
    const { bytes } = this;
    const rest = Math.floor(ms - second * 1000);
    const tens = (rest / 10) | 0;
    const hundreds = (rest / 100) | 0;
    let at = this.length;
    bytes[at++] = ZERO + hundreds;
    bytes[at++] = ZERO + tens - hundreds * 10;
    bytes[at++] = ZERO + rest - tens * 10;
    bytes[at++] = UPPER_Z;
    this.length = at;
  }

  private reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.bytes.length));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }
}

function isSmall(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < SMALL_NUMBERS;
}
