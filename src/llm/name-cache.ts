/** A name longer than this is of no use to anybody and is cut. */
export const NAME_BYTES_MAX = 64;

/**
 * Decodes event names, one character per byte: all that mean anything are ASCII. A stream repeats a few of them, so the
 * text of the last one is used again.
 */
export class NameCache {
  private bytes: Uint8Array | null = null;
  private length = -1;
  private text = "";

  /** Gives the text of `bytes[from]` up to, not including, `bytes[to]`, cut to `NAME_BYTES_MAX` bytes. */
  decode(bytes: Uint8Array, from: number, to: number): string {
    const last = (this.bytes ??= new Uint8Array(NAME_BYTES_MAX));
    const length = Math.min(to - from, NAME_BYTES_MAX);
    let isSame = length === this.length;
    for (let i = 0; i < length; i++) {
      const byte = bytes[from + i]!;
      if (last[i] === byte) continue;
      last[i] = byte;
      isSame = false;
    }
    if (!isSame) {
      this.length = length;
      this.text = String.fromCharCode(...last.subarray(0, length));
    }
    return this.text;
  }
}
