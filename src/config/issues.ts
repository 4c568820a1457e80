import type * as z from "zod";

import { formatPath, quote, shownKey } from "./problem.ts";
import type { Report } from "./report.ts";
import type { Shape } from "./schema-shape.ts";
import { nearest } from "./suggest.ts";

/** Writes what zod found wrong to `report`. The messages of the schema's fields say what is expected. */
export function reportIssues(issues: readonly z.core.$ZodIssue[], shape: Shape, report: Report): void {
  for (const issue of issues) {
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) reportUnknownKey(issue.path, key, shape, report);
      continue;
    }
    const path = formatPath(issue.path);
    const word = report.placeOf(path)?.word ?? null;
    const allowed = issue.code === "invalid_value" ? issue.values.map(String) : [];
    report.wrong(path, issue.message, word === null ? "" : didYouMean(word, allowed));
  }
}

/** ` (did you mean "bearer"?)`, or nothing when no candidate is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const found = nearest(word, candidates);
  return found === null ? "" : ` (did you mean ${quote(found)}?)`;
}

function reportUnknownKey(path: readonly PropertyKey[], key: string, root: Shape, report: Report): void {
  if (report.full) return report.unknownKey(formatPath(path), key, "");
  const shape = shapeAt(root, path);
  const known = shape?.kind === "mapping" ? [...shape.keys.keys()] : [];
  const allowed = known.toSorted().join(", ");
  const hint = didYouMean(key, known) || otherPlace(root, key) || formHint(key);
  report.unknownKey(
    formatPath(path),
    key,
    `found the unknown key ${quote(shownKey(key))}, expected one of ${allowed}${hint}`,
  );
}

function formHint(key: string): string {
  if (key === "<<") return " (merge keys are not part of YAML 1.2)";
  return key.includes(":") ? " (a space is missing behind the colon)" : "";
}

/** For a key that is right but stands in the wrong block. */
function otherPlace(root: Shape, key: string): string {
  const places = placesOf(root, key, "");
  if (places.length === 0) return "";
  return ` (${quote(key)} belongs to ${places.join(" or ")})`;
}

/** Paths of the blocks that know `key`, such as `upstreams[].auth`. */
function placesOf(shape: Shape, key: string, path: string): string[] {
  if (shape.kind === "list") return placesOf(shape.item, key, `${path}[]`);
  if (shape.kind === "scalar") return [];
  const here = shape.keys.has(key) ? [path === "" ? "the top level" : path] : [];
  const below = [...shape.keys].flatMap(([name, child]) =>
    placesOf(child, key, path === "" ? name : `${path}.${name}`),
  );
  return [...here, ...below];
}

function shapeAt(root: Shape, path: readonly PropertyKey[]): Shape | undefined {
  let shape: Shape | undefined = root;
  for (const segment of path) {
    if (shape?.kind === "mapping") shape = shape.keys.get(String(segment));
    else if (shape?.kind === "list") shape = shape.item;
    else return undefined;
  }
  return shape;
}
