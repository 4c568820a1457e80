import type { HeaderList } from "../http/exchange.ts";
import type { Script } from "./script.ts";

/** An answer before it is on its way; it never changes, so it may be kept and sent again. */
export interface Answer {
  readonly status: number;
  readonly headers: HeaderList;
  /** The whole body, or the events of a stream. */
  readonly body: Uint8Array | EventStream;
}

/** The body of a streamed answer, cut where time may pass. */
export interface EventStream {
  /** What comes before the first token. */
  readonly opening: Uint8Array;
  readonly tokens: readonly Uint8Array[];
  /** What comes after the last one, the terminal event included. */
  readonly ending: Uint8Array;
  /** Says that the server is alive, and nothing else. Empty where the dialect has no such thing. */
  readonly ping: Uint8Array;
  /** An event that cannot be parsed. */
  readonly garbled: Uint8Array;
}

/** The events of a stream as a dialect writes them. */
export interface StreamParts {
  readonly opening: string;
  readonly tokens: readonly string[];
  readonly closing: string;
  readonly terminal: string;
  readonly ping: string;
  readonly garbled: string;
  /** The error event that comes after so many tokens. */
  readonly failure: (tokensSent: number) => string;
}

const encoder = new TextEncoder();

export const JSON_HEADERS: HeaderList = ["Content-Type", "application/json"];
export const SSE_HEADERS: HeaderList = [
  "Content-Type",
  "text/event-stream; charset=utf-8",
  "Cache-Control",
  "no-cache",
];
export const NDJSON_HEADERS: HeaderList = ["Content-Type", "application/x-ndjson"];

/** A whole JSON answer. */
export function jsonAnswer(status: number, value: unknown): Answer {
  return { status, headers: JSON_HEADERS, body: encoder.encode(JSON.stringify(value)) };
}

/** A plain text answer. */
export function textAnswer(status: number, text: string): Answer {
  return { status, headers: ["Content-Type", "text/plain; charset=utf-8"], body: encoder.encode(text) };
}

/** A streamed answer; the script says which events are left out, and whether an error takes their place. */
export function streamAnswer(headers: HeaderList, parts: StreamParts, script: Script): Answer {
  let { tokens, closing, terminal } = parts;
  if (script.errorInStream !== undefined) {
    const half = Math.ceil(tokens.length / 2);
    tokens = tokens.slice(0, script.errorInStream === "half" ? half : script.errorInStream);
    closing = parts.failure(tokens.length);
    if (script.done !== true) terminal = "";
  }
  if (script.noDone === true) terminal = "";
  const body: EventStream = {
    opening: encoder.encode(parts.opening),
    tokens: encodeEach(tokens),
    ending: encoder.encode(closing + terminal),
    ping: encoder.encode(parts.ping),
    garbled: encoder.encode(parts.garbled),
  };
  return { status: 200, headers, body };
}

/** Equal texts share their bytes: a long answer repeats a few words. */
function encodeEach(texts: readonly string[]): Uint8Array[] {
  const known = new Map<string, Uint8Array>();
  return texts.map((text) => {
    let bytes = known.get(text);
    if (bytes === undefined) {
      bytes = encoder.encode(text);
      known.set(text, bytes);
    }
    return bytes;
  });
}

/** A server-sent event without a name. */
export function sse(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/** A server-sent event with a name. */
export function namedSse(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A line of newline-delimited JSON. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
