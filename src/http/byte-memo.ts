/** What a text was made to, and the text itself, to compare bytes with. */
interface Entry<T> {
  readonly text: string;
  readonly value: T;
}

/** Longer ones are mostly different each time. */
const BYTES_MAX = 256;

/**
 * Remembers what byte strings were made to, the last one of each hash. Clients and upstreams say the same few names and
 * request lines over and over; made once, they are also the same strings and objects, which makes whatever looks at
 * them fast. One who wants to fill the table makes others pay no more than they would without it.
 */
export class ByteMemo<T> {
  private readonly entries: (Entry<T> | null)[];
  private readonly make: (text: string) => T;

  /** `size`: a power of two. `make` gives the value of a text, one character for each byte. */
  constructor(size: number, make: (text: string) => T) {
    this.entries = Array.from({ length: size }, () => null);
    this.make = make;
  }

  /** Gives the value of the bytes from `from` to before `to`, whose hash is `hash`: by whatever function, but always the same. */
  get(bytes: Buffer, from: number, to: number, hash: number): T {
    const slot = hash & (this.entries.length - 1);
    const known = this.entries[slot]!;
    if (known !== null && isSame(known.text, bytes, from, to)) return known.value;
    // A string of its own: a cut one would hold the whole head in memory.
    const text = bytes.toString("latin1", from, to);
    const value = this.make(text);
    if (to - from <= BYTES_MAX) this.entries[slot] = { text, value };
    return value;
  }
}

function isSame(text: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (text.length !== to - from) return false;
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) !== bytes[from + i]) return false;
  }
  return true;
}
