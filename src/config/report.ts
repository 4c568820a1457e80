import { childPath, compareProblems, parentPath, type Problem } from "./problem.ts";

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Where a value stands in the file, and how a message may speak of it. */
export interface Place {
  readonly position: Position;
  /** Of its key; of the value itself in a list. */
  readonly keyPosition: Position;
  /** The value in words that show no secret: `"bearr"`, `${OPENAI_KEY}`, `a list`. */
  readonly found: string;
  /** A remark on the form of the value, with a leading space, such as ` (remove the quotes)`; mostly empty. */
  readonly hint: string;
  /** The value as text where it may be compared with what is allowed, for a suggestion; else null. */
  readonly word: string | null;
  /** True when references were replaced in it. */
  readonly expanded: boolean;
}

/** Problems kept of one file: enough for anyone to mend at a time. */
const problemsMax = 1000;

/**
 * Collects what is wrong, with places. Of several errors at one key path the first is kept: the later ones
 * follow from it.
 */
export class Report {
  readonly #file: string;
  readonly #places = new Map<string, Place>();
  readonly #errors: Problem[] = [];
  readonly #errorPaths = new Set<string>();
  readonly #warnings: Problem[] = [];
  #errorsLeftOut = 0;

  constructor(file: string) {
    this.#file = file;
  }

  setPlace(path: string, place: Place): void {
    this.#places.set(path, place);
  }

  /** Undefined when the file has nothing at this path. */
  placeOf(path: string): Place | undefined {
    return this.#places.get(path);
  }

  /** True when an error at this very path is known. */
  hasError(path: string): boolean {
    return this.#errorPaths.has(path);
  }

  /** True when further errors are only counted: what they would say need not be found out. */
  get full(): boolean {
    return this.#errors.length >= problemsMax;
  }

  /** The value at `path`, or its absence, is not what is expected. `suffix` is added as it is. */
  wrong(path: string, expected: string, suffix = ""): void {
    const place = this.#places.get(path);
    const found = place?.found ?? "nothing";
    this.error(
      path,
      this.#positionOf(path),
      `found ${found}, expected ${expected}${place?.hint ?? ""}${suffix}`,
    );
  }

  /** The mapping at `path` has a key that it does not know. */
  unknownKey(path: string, key: string, message: string): void {
    const full = childPath(path, key);
    this.error(full, this.#places.get(full)?.keyPosition ?? this.#positionOf(path), message);
  }

  error(path: string, position: Position | null, message: string): void {
    if (path !== "" && this.#errorPaths.has(path)) return;
    this.#errorPaths.add(path);
    if (this.#errors.length < problemsMax) this.#errors.push(this.#problem(path, position, message));
    else this.#errorsLeftOut++;
  }

  warning(path: string, message: string): void {
    const position = this.#places.get(path)?.keyPosition ?? this.#positionOf(path);
    if (this.#warnings.length < problemsMax) this.#warnings.push(this.#problem(path, position, message));
  }

  /** All errors in the order of the file. */
  errors(): readonly Problem[] {
    const sorted = this.#errors.toSorted(compareProblems);
    if (this.#errorsLeftOut > 0) sorted.push(this.#problem("", null, `${this.#errorsLeftOut} more errors`));
    return sorted;
  }

  /** All warnings in the order of the file. */
  warnings(): readonly Problem[] {
    return this.#warnings.toSorted(compareProblems);
  }

  /** Position of the value, or of the nearest mapping or list around it when it is missing. */
  #positionOf(path: string): Position | null {
    for (let current = path; ; current = parentPath(current)) {
      const place = this.#places.get(current);
      if (place !== undefined) return place.position;
      if (current === "") return null;
    }
  }

  #problem(path: string, position: Position | null, message: string): Problem {
    const { line, column } = position ?? { line: null, column: null };
    return { file: this.#file, line, column, path, message };
  }
}
