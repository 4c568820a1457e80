import { type JsonObject, parseJson } from "./json.ts";
import { LastText } from "./last-text.ts";
import { TopLevel } from "./top-level.ts";

/** How far to look from either end: usage has a dozen members, and a few may follow it. */
const STEPS_MAX = 256;
/** How far to look when all but an error is found: that would stand beside them. */
const STEPS_BEYOND = 64;
/** Longer texts are not the names of models. */
const TEXT_BYTES_MAX = 128;

/** Reads a few members of a JSON object, known by name, without parsing the others. */
export class Members {
  private readonly names: readonly string[];
  private readonly wanted: number;
  private readonly encoded: readonly Uint8Array[];
  private readonly texts: readonly LastText[];

  /** `wanted` are there mostly, `others` mostly not. Names are ASCII, without need of escapes. */
  constructor(wanted: readonly string[], others: readonly string[] = []) {
    const names = [...wanted, ...others];
    this.names = names;
    this.wanted = wanted.length;
    this.encoded = names.map((name) => new TextEncoder().encode(name));
    this.texts = names.map(() => new LastText());
  }

  /** Gives those that stand near either end of the text, at its top level. */
  near(bytes: Uint8Array): JsonObject {
    const found: Record<string, unknown> = {};
    const spans = TopLevel.findFromEnd(bytes, this.encoded, this.wanted, STEPS_MAX, STEPS_BEYOND);
    for (let i = 0; i < spans.length; i++) {
      const span = spans[i];
      if (!span) continue;
      const { start, end } = span;
      const text = end - start > TEXT_BYTES_MAX ? null : this.texts[i]!.parse(bytes, start, end);
      found[this.names[i]!] = text ?? parseJson(bytes, start, end);
    }
    return found;
  }
}
