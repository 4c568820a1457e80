/** One thing wrong in the configuration, with the place in the file where it can be mended. */
export interface Problem {
  readonly file: string;
  /** From 1; null when the problem is the file as a whole. */
  readonly line: number | null;
  /** From 1, in UTF-16 code units as editors count them; null together with `line`. */
  readonly column: number | null;
  /** Path of the key, such as `upstreams[1].auth.type`; empty when no single key is concerned. */
  readonly path: string;
  readonly message: string;
}

/** Segments of a key path: keys of mappings and indices of lists. */
export type KeyPath = readonly PropertyKey[];

const keyForm = /^[A-Za-z0-9_-]{1,32}$/;

/** Longest piece of the file that a message repeats. */
const shownCharsMax = 60;

/** The one printed form: `config.yaml:12:7: upstreams[0].auth.type: found "bearr", expected ...`. */
export function formatProblem(problem: Problem): string {
  const place = problem.line === null ? "" : `:${problem.line}:${problem.column ?? 1}`;
  const path = problem.path === "" ? "" : ` ${problem.path}:`;
  return `${problem.file}${place}:${path} ${problem.message}`;
}

/** Orders problems as they stand in the file; those of the file as a whole come first. */
export function compareProblems(a: Problem, b: Problem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

/** Text of a key path: `upstreams[1].auth.type`. Keys that are no plain words are quoted: `a["b c"]`. */
export function formatPath(path: KeyPath): string {
  let text = "";
  for (const segment of path) text = childPath(text, segment);
  return text;
}

/** Path text of a child of the value at `parent`. */
export function childPath(parent: string, segment: PropertyKey): string {
  if (typeof segment === "number") return `${parent}[${segment}]`;
  const key = shownKey(String(segment));
  if (!keyForm.test(key)) return `${parent}[${quote(key)}]`;
  return parent === "" ? key : `${parent}.${key}`;
}

/**
 * A key as messages name it. One that is no short plain word is cut to its first letters: in `{token:abc}` the
 * missing space makes the secret a part of the key.
 */
export function shownKey(key: string): string {
  return keyForm.test(key) || key === "<<" ? key : `${/^[A-Za-z_]{0,16}/.exec(key)?.[0] ?? ""}...`;
}

/** Path text of the value that holds the one at `path`; empty for the top level. */
export function parentPath(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("."), path.lastIndexOf("[")));
}

/**
 * A string in double quotes, cut to a readable length. Control, C1 and bidirectional characters are escaped,
 * so that text of the file cannot steer the terminal that shows it.
 */
export function quote(text: string): string {
  const shown = text.length > shownCharsMax ? `${text.slice(0, shownCharsMax)}...` : text;
  return JSON.stringify(shown).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
