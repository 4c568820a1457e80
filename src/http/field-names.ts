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
 * Tells header field names apart by kinds, whatever their case. Most names are told to be of no kind by their length and
 * first letter, without being lower-cased and hashed: this is asked for every field that comes in.
 */
export class FieldKinds<Kind extends number> {
  private readonly kinds: ReadonlyMap<string, Kind>;
  private readonly hints = new Uint8Array(HINTS);

  /** `kinds`: by name in lower case. A kind is not 0, which stands for names that are not there. */
  constructor(kinds: Iterable<readonly [string, Kind]>) {
    this.kinds = new Map(kinds);
    for (const name of this.kinds.keys()) this.hints[hintOf(name)] = 1;
  }

  of(name: string): Kind | 0 {
    return this.hints[hintOf(name)] === 1 ? (this.kinds.get(lowerName(name)) ?? 0) : 0;
  }
}

/** A set of header field names, asked whatever their case. */
export class FieldNames {
  private readonly names: readonly string[];
  private readonly kinds: FieldKinds<1>;

  /** `names` in lower case. */
  constructor(names: Iterable<string>) {
    this.names = [...names];
    this.kinds = new FieldKinds(this.names.map((name) => [name, 1] as const));
  }

  has(name: string): boolean {
    return this.kinds.of(name) === 1;
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
