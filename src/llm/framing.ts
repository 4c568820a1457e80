import type { Dialect } from "./dialect.ts";
import type { Framing } from "./response-facts.ts";

const LEFT_BRACKET = 91;
const LEFT_BRACE = 123;
const COLON = 58;
const SPACE = 32;
/** Bytes of a byte order mark. */
const MARKS: ReadonlySet<number> = new Set([0xef, 0xbb, 0xbf]);
/** First letters of `data`, `event`, `error`, `id` and `retry`. No JSON text begins with them. */
const FIELD_LETTERS: ReadonlySet<number> = new Set([100, 101, 105, 114]);

/** The Content-Type that was asked for last, and what it came to: clients and servers mostly send the same. */
let lastType = "";
let lastMediaType = "";

/** Gives the media type of a Content-Type without parameters, in lower case; "" when there is none. */
export function mediaTypeOf(contentType: string | null): string {
  if (contentType === null) return "";
  if (contentType !== lastType) {
    const semicolon = contentType.indexOf(";");
    const text = semicolon < 0 ? contentType : contentType.slice(0, semicolon);
    lastType = contentType;
    lastMediaType = text.trim().toLowerCase();
  }
  return lastMediaType;
}

/** Whether a media type is that of a stream, whose first bytes matter as soon as they arrive. */
export function isStreamMedia(mediaType: string): boolean {
  return mediaType === "text/event-stream" || isLines(mediaType);
}

/** Whether a media type may be one of those that are read here. An absent or a plain one may hide any of them. */
export function isReadable(mediaType: string): boolean {
  return isStreamMedia(mediaType) || isJson(mediaType) || mediaType === "" || mediaType === "text/plain";
}

/** Gives the position from `at` on of the first byte that is neither a blank nor part of a byte order mark; `to` without one. */
export function firstByteAt(chunk: Uint8Array, at: number, to: number): number {
  while (at < to && (chunk[at]! <= SPACE || MARKS.has(chunk[at]!))) at++;
  return at;
}

/**
 * Tells how to read a body from its media type and its first byte. The byte decides where the type is wrong: servers
 * send a JSON error as an event stream, and an event stream as JSON.
 */
export function framingOf(mediaType: string, dialect: Dialect, firstByte: number): Framing {
  const isJsonText = firstByte === LEFT_BRACE || firstByte === LEFT_BRACKET;
  if (isLines(mediaType)) return dialect === "ollama-generate" ? "lines" : "opaque";
  if (mediaType === "text/event-stream") return isJsonText ? jsonFraming(dialect, firstByte) : "events";
  if (!isReadable(mediaType)) return "opaque";
  if (firstByte === COLON || FIELD_LETTERS.has(firstByte)) return "events";
  return isJson(mediaType) || isJsonText ? jsonFraming(dialect, firstByte) : "opaque";
}

function jsonFraming(dialect: Dialect, firstByte: number): Framing {
  return dialect === "gemini-generate" && firstByte === LEFT_BRACKET ? "elements" : "body";
}

function isJson(mediaType: string): boolean {
  return mediaType === "application/json" || mediaType.endsWith("+json");
}

function isLines(mediaType: string): boolean {
  return (
    mediaType === "application/x-ndjson" ||
    mediaType === "application/ndjson" ||
    mediaType === "application/jsonl" ||
    mediaType === "application/x-jsonlines"
  );
}
