import { type JsonObject, parseJson } from "./json.ts";
import { TopLevel } from "./top-level.ts";

/** How far to look from either end: past the names before a long answer, and what an end of numbers is followed by. */
const STEPS = 256;

/** Reads a few members of a JSON object, known by name, without parsing the others. */
export class Members {
  private readonly names: readonly string[];
  private readonly encoded: readonly Uint8Array[];

  /** `names`: ASCII, without need of escapes. */
  constructor(names: readonly string[]) {
    this.names = names;
    this.encoded = names.map((name) => new TextEncoder().encode(name));
  }

  /** Gives those that stand near either end of the text, at its top level. */
  near(bytes: Uint8Array): JsonObject {
    const found: Record<string, unknown> = {};
    const { spans } = TopLevel.find(bytes, this.encoded, STEPS);
    for (let i = 0; i < spans.length; i++) {
      const span = spans[i];
      if (span) found[this.names[i]!] = parseJson(bytes, span.start, span.end);
    }
    return found;
  }
}
