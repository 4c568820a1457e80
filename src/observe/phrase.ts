import { assert } from "../shared/assert.ts";

const WORD_BYTES = 8;
const START_BYTES = 8 * 1024;

/**
 * The bytes of all phrases, one behind the other. A line is made of some thirty of them: with memory of its own for each
 * there would be a hundred places to fetch into the processor's caches for every line.
 */
let memory = new DataView(new ArrayBuffer(START_BYTES));
let used = 0;

/**
 * Text of ASCII that is written over and over. It is copied in words of eight bytes, as each of its bytes would cost as much as
 * a word does. As numbers such words are never NaN, of which an engine may change the bits: that begins with a byte
 * 0x7f or 0xff.
 */
export class Phrase {
  /** Bytes of the text; the last word may be longer. */
  length = 0;
  /** Bytes that `write` touches. */
  room = 0;
  private at = 0;
  private roomMax = 0;

  constructor(text: string) {
    this.set(text);
  }

  /** Makes it another text. */
  set(text: string): void {
    assert(!/[^\0-~]/.test(text), "a phrase is of ASCII");
    this.length = text.length;
    this.room = Math.ceil(text.length / WORD_BYTES) * WORD_BYTES;
    if (this.room > this.roomMax) this.move();
    for (let i = 0; i < text.length; i++) memory.setUint8(this.at + i, text.charCodeAt(i));
  }

  /** Writes it to `view` at `at`, and up to seven bytes of no meaning behind it. */
  write(view: DataView, at: number): void {
    const { at: from, room } = this;
    for (let i = 0; i < room; i += WORD_BYTES)
      view.setFloat64(at + i, memory.getFloat64(from + i, true), true);
  }

  /** Finds a place with more room; the one before is lost, so that each is at least twice as large. */
  private move(): void {
    this.roomMax = Math.max(this.room, 2 * this.roomMax);
    this.at = used;
    used += this.roomMax;
    if (used <= memory.byteLength) return;
    const larger = new Uint8Array(Math.max(used, 2 * memory.byteLength));
    larger.set(new Uint8Array(memory.buffer));
    memory = new DataView(larger.buffer);
  }
}
