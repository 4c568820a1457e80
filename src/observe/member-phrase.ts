import { Phrase } from "./phrase.ts";
import { jsonText } from "./text.ts";

/** Values that are no longer than this are worth remembering. */
const REMEMBERED_CHARS_MAX = 64;
/** How often a value must be another one than the remembered one until it takes that one's place. */
const MISSES_MAX = 32;

/** A member of a JSON object: its name with what stands before it, and its colon. Remembers a value that comes often. */
export class MemberPhrase {
  readonly name: Phrase;
  /** The same with null as its value. */
  readonly none: Phrase;
  /** The same with the remembered value. */
  readonly whole: Phrase;
  /** The remembered value. */
  value: string | null = null;
  private readonly text: string;
  private misses = 0;

  constructor(text: string) {
    this.text = text;
    this.name = new Phrase(text);
    this.none = new Phrase(`${text}null`);
    this.whole = new Phrase("");
  }

  /** A value came that is not the remembered one. */
  missed(value: string): void {
    if (++this.misses < MISSES_MAX || value.length > REMEMBERED_CHARS_MAX) return;
    this.misses = 0;
    this.whole.set(this.text + jsonText(value));
    this.value = value;
  }
}
