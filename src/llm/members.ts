import { type JsonObject, parseJson } from "./json.ts";
import { type Span, TopLevel } from "./top-level.ts";

/** How far to look from the beginning: past the names before a long answer. */
const STEPS_FORWARD = 96;
/** How far to look from the end: usage has a dozen members, and a few may follow it. */
const STEPS_BACKWARD = 256;
const QUOTE = 34;
/** Longer texts are not the names of models. */
const TEXT_BYTES_MAX = 128;

/** A member that is a text, as it was written last: an upstream names the same model again and again. */
interface LastText {
  readonly bytes: Uint8Array;
  readonly value: unknown;
}

/** Reads a few members of a JSON object, known by name, without parsing the others. */
export class Members {
  private readonly names: readonly string[];
  private readonly encoded: readonly Uint8Array[];
  private readonly lastTexts: (LastText | null)[];

  /** `names`: ASCII, without need of escapes. */
  constructor(names: readonly string[]) {
    this.names = names;
    this.encoded = names.map((name) => new TextEncoder().encode(name));
    this.lastTexts = names.map(() => null);
  }

  /** Gives those that stand near either end of the text, at its top level. */
  near(bytes: Uint8Array): JsonObject {
    const found: Record<string, unknown> = {};
    const { spans } = TopLevel.find(bytes, this.encoded, STEPS_FORWARD, STEPS_BACKWARD);
    for (let i = 0; i < spans.length; i++) {
      const span = spans[i];
      if (span) found[this.names[i]!] = this.valueAt(i, bytes, span);
    }
    return found;
  }

  private valueAt(i: number, bytes: Uint8Array, { start, end }: Span): unknown {
    if (bytes[start] !== QUOTE || end - start > TEXT_BYTES_MAX) return parseJson(bytes, start, end);
    let last = this.lastTexts[i]!;
    if (last === null || !holdsAt(bytes, start, end, last.bytes)) {
      last = { bytes: Buffer.copyBytesFrom(bytes, start, end - start), value: parseJson(bytes, start, end) };
      this.lastTexts[i] = last;
    }
    return last.value;
  }
}

/** Whether just these bytes stand from `start` to before `end`. */
function holdsAt(bytes: Uint8Array, start: number, end: number, wanted: Uint8Array): boolean {
  if (wanted.length !== end - start) return false;
  for (let i = 0; i < wanted.length; i++) if (bytes[start + i] !== wanted[i]) return false;
  return true;
}
