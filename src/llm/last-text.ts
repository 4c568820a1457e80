import { parseJson } from "./json.ts";

const QUOTE = 34;

/**
 * Parses JSON texts of which the last one mostly comes again, as the name of a model does: then it is recognised by its
 * bytes, and need not be decoded.
 */
export class LastText {
  private bytes: Uint8Array | null = null;
  private text: string | null = null;

  /** Gives the text that is written, with its quotes, from `start` to before `end`; null when it is none. */
  parse(bytes: Uint8Array, start: number, end: number): string | null {
    if (bytes[start] !== QUOTE) return null;
    if (this.bytes === null || !holdsAt(bytes, start, end, this.bytes)) {
      const value = parseJson(bytes, start, end);
      this.bytes = Buffer.copyBytesFrom(bytes, start, end - start);
      this.text = typeof value === "string" ? value : null;
    }
    return this.text;
  }
}

/** Whether just these bytes stand from `start` to before `end`. */
function holdsAt(bytes: Uint8Array, start: number, end: number, wanted: Uint8Array): boolean {
  if (wanted.length !== end - start) return false;
  for (let i = 0; i < wanted.length; i++) if (bytes[start + i] !== wanted[i]) return false;
  return true;
}
