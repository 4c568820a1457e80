import { asObject, type JsonObject, parseJson } from "./json.ts";
import type { Members } from "./members.ts";
import { describeError, errorOf } from "./response-error.ts";
import type { ResponseFacts } from "./response-facts.ts";

/**
 * Until the first content is seen events are parsed, to tell it from preludes; after this many without any it is
 * presumed that the content was not recognised.
 */
export const LEARNING_EVENTS_MAX = 128;

const LEFT_BRACKET = 91;
const SPACE = 32;
const DONE = [91, 68, 79, 78, 69, 93] as const;
const KEEP_ALIVE_NAMES: ReadonlySet<string> = new Set(["ping", "keepalive", "keep-alive", "heartbeat"]);

/** What one dialect makes of the pieces of a response. One object per response; it writes to the facts. */
export abstract class DialectReader {
  protected readonly facts: ResponseFacts;

  constructor(facts: ResponseFacts) {
    this.facts = facts;
  }

  /**
   * Reads one event of a stream: the data of an SSE event, a JSON line, or an element of a JSON array, from `start` up
   * to, not including, `end`. `name` is the SSE event's name, "" without one. Called for every token: cheap when the
   * event says nothing but content.
   */
  abstract onEvent(name: string, bytes: Uint8Array, start: number, end: number): void;

  /** Reads the last bytes of an event or body that is too long to parse. */
  abstract onTail(name: string, bytes: Uint8Array, start: number, end: number): void;

  /** Reads a response that is one JSON object, or the part of it that `members` names. */
  abstract onBody(body: JsonObject): void;

  /** What is read of a long body; what it says besides needs no parsing. */
  abstract readonly members: Members;

  /** Whether a stream that ended properly without its terminal event has nevertheless given everything. */
  isFinished(): boolean {
    return this.facts.terminal;
  }

  /** Parses an event; null when it is no JSON object, which is counted. */
  protected parse(bytes: Uint8Array, start: number, end: number): JsonObject | null {
    const object = asObject(parseJson(bytes, start, end));
    if (object === null) this.facts.parseFailures++;
    return object;
  }

  /** Notes the error of a body or event, if there is one. */
  protected takeError(object: JsonObject): void {
    this.facts.error ??= errorOf(object);
  }

  /** Notes the error of an event that is an error by its name, whatever its data looks like. */
  protected takeErrorEvent(object: JsonObject | null): void {
    this.facts.error ??= (object === null ? null : errorOf(object)) ?? describeError(object);
  }
}

/** Whether the data is the end marker `[DONE]`, with or without blanks around it. */
export function isDoneMarker(bytes: Uint8Array, start: number, end: number): boolean {
  while (start < end && bytes[start] === SPACE) start++;
  if (bytes[start] !== LEFT_BRACKET) return false;
  while (end > start && bytes[end - 1] === SPACE) end--;
  if (end - start !== DONE.length) return false;
  for (let i = 0; i < DONE.length; i++) if (bytes[start + i] !== DONE[i]) return false;
  return true;
}

/** Whether events of this name only keep the connection alive. */
export function isKeepAlive(name: string): boolean {
  return name !== "" && KEEP_ALIVE_NAMES.has(name);
}
