/** Models that get a label of their own. */
const SEEN_MAX = 100;
const NAME_CHARS_MAX = 128;

/** The label of a model of which nothing is known. */
export const UNKNOWN_MODEL = "unknown";
/** The label of all models that came too late to get one of their own. */
export const OTHER_MODEL = "other";

/**
 * Bounds the names of models that become label values: the first hundred keep theirs. Whoever invents names cannot
 * grow the metrics beyond that.
 */
export class ModelNames {
  private readonly seen = new Set<string>();

  /** Gives the label for a model; null = unknown. Control characters are left out, and what is too long is cut. */
  labelOf(model: string | null): string {
    if (model === null) return UNKNOWN_MODEL;
    if (this.seen.has(model)) return model;
    const name = model.replace(/[\u0000-\u001f\u007f-\u009f]/g, "").slice(0, NAME_CHARS_MAX);
    if (name === "") return UNKNOWN_MODEL;
    if (this.seen.has(name) || name === UNKNOWN_MODEL) return name;
    if (this.seen.size >= SEEN_MAX) return OTHER_MODEL;
    this.seen.add(name);
    return name;
  }
}
