/** A JSON object whose members are not known. */
export type JsonObject = { readonly [key: string]: unknown };

/** A text made to contain one key over and over is given up after so many. */
const CANDIDATES_MAX = 8;

const SPACE = 32;
const RIGHT_BRACE = 125;

/** Gives the value as an object, or null when it is none. */
export function asObject(value: unknown): JsonObject | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
}

/** Gives the value as an array, empty when it is none. */
export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Gives a number of tokens, or null when the value is none: missing, null, negative, broken, beyond 2^53. */
export function asCount(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** Parses the UTF-8 text from `start` up to, not including, `end`. Gives undefined when it is not JSON. */
export function parseJson(bytes: Uint8Array, start: number, end: number): unknown {
  try {
    return JSON.parse(textOf(bytes, start, end));
  } catch {
    return undefined;
  }
}

/** Decodes in place: a view of an array leaves the collector three more objects, which costs far more than a short text. */
function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.prototype.toString.call(bytes, "utf8", start, end);
}

/** Whether a text that is not parsed ends as a JSON object does. */
export function isClosed(bytes: Uint8Array, start: number, end: number): boolean {
  while (end > start && bytes[end - 1]! <= SPACE) end--;
  return end > start && bytes[end - 1] === RIGHT_BRACE;
}

/**
 * Looks through the end of a JSON text that is too large to parse for the last `"key":{...}` and gives that object,
 * or null. The depth of the key is not known, so the caller must check that the object is what it looks for.
 */
export function lastObjectOf(bytes: Uint8Array, start: number, end: number, key: string): JsonObject | null {
  const text = textOf(bytes, start, end);
  const quoted = `"${key}"`;
  let at = text.length;
  for (let tries = 0; tries < CANDIDATES_MAX && at > 0; tries++) {
    at = text.lastIndexOf(quoted, at - 1);
    if (at < 0) return null;
    const colon = skipSpace(text, at + quoted.length);
    if (text[colon] !== ":") continue;
    const open = skipSpace(text, colon + 1);
    if (text[open] !== "{") continue;
    const found = parseObjectAt(text, open);
    if (found !== null) return found;
  }
  return null;
}

/**
 * Gives the members that follow `"key"` at the end of an object too large to parse, `key` included, or null. Only for
 * servers that write their members in a known order.
 */
export function membersFrom(bytes: Uint8Array, start: number, end: number, key: string): JsonObject | null {
  const text = textOf(bytes, start, end);
  const at = text.lastIndexOf(`"${key}"`);
  return at < 0 ? null : parseObject(`{${text.slice(at)}`);
}

function parseObject(text: string): JsonObject | null {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return null;
  }
}

function parseObjectAt(text: string, open: number): JsonObject | null {
  let depth = 0;
  let inString = false;
  for (let i = open; i < text.length; i++) {
    const char = text[i];
    if (inString) {
      if (char === "\\") i++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return parseObject(text.slice(open, i + 1));
  }
  return null;
}

function skipSpace(text: string, at: number): number {
  while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++;
  return at;
}
