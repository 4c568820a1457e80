import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { childPath } from "../../src/config/problem.ts";
import type { Shape } from "../../src/config/schema-shape.ts";

const MARK = "canary-bird-";
const CANARY = /canary-bird-[a-z0-9-]+-5f2c9e/g;

/** A secret for one place; found anywhere, it tells where it came from. */
export const canary = (place: string) => `${MARK}${place}-5f2c9e`;

/**
 * What base64 makes of the mark, whichever of three places of a group it begins at: without the characters that it shares
 * with what is before and behind it.
 */
const ENCODED_MARKS = [0, 1, 2].map((before) => {
  const text = Buffer.from("\0".repeat(before) + MARK)
    .toString("base64")
    .replace(/=+$/, "");
  return text.slice(before === 0 ? 0 : before + 1, -1);
});

/** The secrets in a text, each once, in order. One in base64, as in `Basic`, or percent-encoded is there too. */
export function canariesIn(given: string): string[] {
  const text = withoutEscapes(given);
  const found = new Set<string>(text.match(CANARY) ?? []);
  if (ENCODED_MARKS.some((mark) => text.includes(mark)))
    for (const run of text.match(/[A-Za-z0-9+/_-]{16,}/g) ?? [])
      for (const secret of inBase64(run)) found.add(secret);
  return [...found].toSorted();
}

/** Unlike `decodeURIComponent` it passes over what is no escape, and leaves alone what is no character of a secret. */
function withoutEscapes(text: string): string {
  return text.replace(/%[2367][0-9a-f]/gi, (escape) => decodeURIComponent(escape));
}

function inBase64(run: string): string[] {
  return [0, 1, 2, 3].flatMap(
    (skip) => Buffer.from(run.slice(skip), "base64").toString("latin1").match(CANARY) ?? [],
  );
}

/** All that the files below a directory hold, but for those named. */
export function filesBelow(directory: string, without: readonly string[]): string {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !without.includes(entry.name))
    .map((entry) => `${entry.name}\n${readFileSync(join(entry.parentPath, entry.name), "latin1")}`)
    .join("\n");
}

/** The paths of the keys that may hold a secret, as the schema has them: `upstreams[].auth.token`. */
export function secretKeys(shape: Shape, path = ""): string[] {
  if (shape.kind === "list") return secretKeys(shape.item, `${path}[]`);
  if (shape.kind === "mapping")
    return [...shape.keys].flatMap(([key, child]) => secretKeys(child, childPath(path, key)));
  return shape.secrecy === "hidden" || shape.secrecy === "url" ? [path] : [];
}

/** The paths of the keys that hold one of these secrets, or refer to the environment or a file, in the same form. */
export function keysWithCanaries(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => keysWithCanaries(item, `${path}[]`));
  if (typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([key, child]) => keysWithCanaries(child, childPath(path, key)));
  return typeof value === "string" && (value.includes(MARK) || value.includes("${")) ? [path] : [];
}
