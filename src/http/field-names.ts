const KNOWN_MAX = 512;
const known = new Map<string, string>();

/** A field name in lower case. Clients spell a name always alike, so the few spellings there are, are remembered. */
export function lowerName(name: string): string {
  let lower = known.get(name);
  if (lower === undefined) {
    lower = name.toLowerCase();
    if (known.size < KNOWN_MAX) known.set(name, lower);
  }
  return lower;
}

/**
 * A set of header field names, asked whatever their case. Most names are told to be outside by their length and
 * first letter, without being lower-cased and hashed: this is asked for every field that comes in.
 */
export class FieldNames {
  private readonly names: ReadonlySet<string>;
  private readonly hints = new Uint8Array(HINTS);

  /** `names` in lower case. */
  constructor(names: Iterable<string>) {
    this.names = new Set(names);
    for (const name of this.names) this.hints[hintOf(name)] = 1;
  }

  has(name: string): boolean {
    return this.hints[hintOf(name)] === 1 && this.names.has(lowerName(name));
  }

  [Symbol.iterator](): Iterator<string> {
    return this.names.values();
  }
}

const HINTS = 1024;

/** The same for both cases of a letter: they differ in a bit that is left out. */
function hintOf(name: string): number {
  return ((name.length << 5) | (name.charCodeAt(0) & 31)) & (HINTS - 1);
}
