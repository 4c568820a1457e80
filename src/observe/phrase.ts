import { assert } from "../shared/assert.ts";

const WORD_BYTES = 8;

/**
 * Text of ASCII that is written over and over, cut into words of eight bytes, as of its bytes one by one each would cost
 * as much as a word does. As numbers such words are never NaN, of which an engine may change the bits: that begins with
 * a byte 0x7f or 0xff.
 */
export class Phrase {
  /** Bytes of the text; the last word may be longer. */
  readonly length: number;
  /** Little endian. */
  readonly words: Float64Array;

  constructor(text: string) {
    assert(!/[^\0-~]/.test(text), "a phrase is of ASCII");
    this.length = text.length;
    const bytes = new Uint8Array(Math.ceil(text.length / WORD_BYTES) * WORD_BYTES);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const view = new DataView(bytes.buffer);
    this.words = Float64Array.from({ length: bytes.length / WORD_BYTES }, (_, i) =>
      view.getFloat64(i * WORD_BYTES, true),
    );
  }

  /** Writes it to `view` at `at`, and up to seven bytes of no meaning behind it. */
  write(view: DataView, at: number): void {
    const { words } = this;
    for (let i = 0; i < words.length; i++) view.setFloat64(at + i * WORD_BYTES, words[i]!, true);
  }

  /** Bytes that `write` touches. */
  get room(): number {
    return this.words.length * WORD_BYTES;
  }
}
