import { CountReader } from "./count-reader.ts";
import { type JsonObject, parseJson } from "./json.ts";
import { LastText } from "./last-text.ts";
import { TopLevel } from "./top-level.ts";

/** How far to look from either end: usage has a dozen members, indented, and a few may follow it. */
const STEPS_MAX = 1024;
/** How far to look when all but an error is found: that would stand beside them. */
const STEPS_BEYOND = 64;
/** Longer texts are not the names of models. */
const TEXT_BYTES_MAX = 128;

/** Reads a few members of a JSON object, known by name, without parsing the others. */
export class Members {
  private readonly names: readonly string[];
  private readonly wanted: number;
  private readonly topLevel: TopLevel;
  private readonly texts: readonly LastText[];
  private readonly counts: CountReader;

  /**
   * `wanted` are there mostly, `others` mostly not; `counts` are what is read of wanted objects that hold nothing else of
   * interest. Names are ASCII, without need of escapes; see `CountReader` for those of counts.
   */
  constructor(
    wanted: readonly string[],
    { others = [], counts = [] }: { others?: readonly string[]; counts?: readonly string[] } = {},
  ) {
    const names = [...wanted, ...others];
    this.names = names;
    this.wanted = wanted.length;
    this.topLevel = new TopLevel(names.map((name) => new TextEncoder().encode(name)));
    this.texts = names.map(() => new LastText());
    this.counts = new CountReader(counts);
  }

  /** Gives those that stand near either end of the text, at its top level. */
  near(bytes: Uint8Array): JsonObject {
    const { topLevel } = this;
    const found: Record<string, unknown> = {};
    topLevel.findFromEnd(bytes, this.wanted, STEPS_MAX, STEPS_BEYOND);
    for (let i = 0; i < this.names.length; i++) {
      const start = topLevel.start(i);
      if (start >= 0) found[this.names[i]!] = this.read(i, bytes, start, topLevel.end(i));
    }
    return found;
  }

  private read(index: number, bytes: Uint8Array, start: number, end: number): unknown {
    const text = end - start > TEXT_BYTES_MAX ? null : this.texts[index]!.parse(bytes, start, end);
    if (text !== null) return text;
    const counts = index < this.wanted ? this.counts.read(bytes, start, end) : null;
    return counts ?? parseJson(bytes, start, end);
  }
}
