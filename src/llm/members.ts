import { type JsonObject, parseJson } from "./json.ts";
import { LastText } from "./last-text.ts";
import { TopLevel } from "./top-level.ts";

/** How far to look from the beginning: past the names before a long answer. */
const STEPS_FORWARD = 96;
/** How far to look from the end: usage has a dozen members, and a few may follow it. */
const STEPS_BACKWARD = 256;
/** Longer texts are not the names of models. */
const TEXT_BYTES_MAX = 128;

/** Reads a few members of a JSON object, known by name, without parsing the others. */
export class Members {
  private readonly names: readonly string[];
  private readonly encoded: readonly Uint8Array[];
  private readonly texts: readonly LastText[];

  /** `names`: ASCII, without need of escapes. */
  constructor(names: readonly string[]) {
    this.names = names;
    this.encoded = names.map((name) => new TextEncoder().encode(name));
    this.texts = names.map(() => new LastText());
  }

  /** Gives those that stand near either end of the text, at its top level. */
  near(bytes: Uint8Array): JsonObject {
    const found: Record<string, unknown> = {};
    const { spans } = TopLevel.find(bytes, this.encoded, STEPS_FORWARD, STEPS_BACKWARD);
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
