import * as zlib from "node:zlib";

export type Json = { readonly [key: string]: unknown };

/** What every API asks for when it wants text: the same few facts, whatever the dialect calls them. */
export interface Ask {
  readonly model: string;
  readonly stream: boolean;
  readonly promptTokens: number;
  /** Text of the last message of the user. */
  readonly question: string;
  /** The last message is the result of a tool: the next answer is text. */
  readonly afterTool: boolean;
  readonly tools: readonly Tool[];
  /** Name of a tool: that one; "any": some tool must be called. */
  readonly toolChoice: { readonly kind: "auto" | "none" | "any" } | { readonly kind: "named"; name: string };
  readonly tokensMax: number | null;
  /** Depends on the bytes of the request alone; the same request gets the same answer. */
  readonly seed: bigint;
}

export interface Tool {
  readonly name: string;
  /** JSON Schema of its arguments. */
  readonly parameters: Json;
}

/** A request body that was read, or the text for the 400. */
export type ReadBody =
  { readonly ok: true; readonly json: Json } | { readonly ok: false; readonly problem: string };

const DECODED_BYTES_MAX = 128 * 1024 * 1024;
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Reads a JSON object out of a request body; `encoding` is the Content-Encoding, null for none. */
export function readJson(body: Uint8Array, encoding: string | null): ReadBody {
  let plain: Uint8Array;
  try {
    plain = decode(body, encoding);
  } catch {
    return { ok: false, problem: `The body could not be decoded as ${encoding}.` };
  }
  try {
    const value: unknown = JSON.parse(decoder.decode(plain));
    if (isJson(value)) return { ok: true, json: value };
    return { ok: false, problem: "The body must be a JSON object." };
  } catch {
    return { ok: false, problem: "We could not parse the JSON body of your request." };
  }
}

function decode(body: Uint8Array, encoding: string | null): Uint8Array {
  const limit = { maxOutputLength: DECODED_BYTES_MAX };
  switch (encoding) {
    case null:
    case "identity":
      return body;
    case "gzip":
      return zlib.gunzipSync(body, limit);
    case "deflate":
      return zlib.inflateSync(body, limit);
    case "br":
      return zlib.brotliDecompressSync(body, limit);
    case "zstd":
      return zlib.zstdDecompressSync(body, limit);
    default:
      throw new Error("unknown content encoding");
  }
}

export function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value as an object; an empty one where it is something else. */
export function asJson(value: unknown): Json {
  return isJson(value) ? value : {};
}

/** The value as a list; an empty one where it is something else. */
export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The model asked for; demo requests may leave it out. */
export function modelOf(json: Json): string {
  return typeof json["model"] === "string" && json["model"] !== "" ? json["model"] : "demo-1";
}

/** A limit on output tokens, null where the request sets none. */
export function tokensMaxOf(value: unknown): number | null {
  return typeof value === "number" && value >= 1 ? Math.floor(value) : null;
}

/** The text of a message's content, which is a string or a list of parts, some with text. */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  const texts: string[] = [];
  for (const part of asList(content)) {
    if (typeof part === "string") texts.push(part);
    else if (typeof asJson(part)["text"] === "string") texts.push(asJson(part)["text"] as string);
  }
  return texts.join(" ");
}

/** How many words a text has; our upstreams count one token for each. */
export function countWords(text: string): number {
  let words = 0;
  let inside = false;
  for (let at = 0; at < text.length; at++) {
    const blank = text.charCodeAt(at) <= 0x20;
    if (!blank && !inside) words++;
    inside = !blank;
  }
  return words;
}

/** Facts about a list of messages, which all chat APIs share. */
export function readMessages(messages: readonly unknown[]): {
  promptTokens: number;
  question: string;
  afterTool: boolean;
} {
  let promptTokens = 0;
  let question = "";
  let afterTool = false;
  for (const item of messages) {
    const message = asJson(item);
    const text = textOf(message["content"] ?? message["output"]);
    promptTokens += countWords(text) + 3;
    afterTool = isToolResult(message);
    if (message["role"] === "user" && text !== "") question = text;
  }
  return { promptTokens, question, afterTool };
}

function isToolResult(message: Json): boolean {
  if (message["role"] === "tool" || message["type"] === "function_call_output") return true;
  return asList(message["content"]).some((part) => asJson(part)["type"] === "tool_result");
}
