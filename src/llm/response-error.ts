import { asObject, type JsonObject } from "./json.ts";

/** What an error object says, in words short and plain enough for a log. The message stays out: it may quote the prompt. */
export interface ResponseError {
  /** `overloaded_error`, `RESOURCE_EXHAUSTED`; `error` when it has none. */
  readonly type: string;
  readonly code: string | null;
}

const WORD = /^[\w.:-]{1,64}$/;

/**
 * Finds the error that a body or an event carries at its top: `error` with a value that is true (OpenAI, Anthropic,
 * Gemini, Ollama; `"error": null` is legal), or `"object": "error"` with the fields beside it (SGLang, Mistral).
 * Gives null without one.
 */
export function errorOf(body: JsonObject): ResponseError | null {
  if (body["error"]) return describeError(body["error"]);
  return body["object"] === "error" ? describeError(body) : null;
}

/** Describes an error given as an object or as text. */
export function describeError(value: unknown): ResponseError {
  const error = asObject(value);
  if (error === null) return { type: "error", code: null };
  return { type: word(error["type"]) ?? word(error["status"]) ?? "error", code: word(error["code"]) };
}

function word(value: unknown): string | null {
  if (typeof value === "number" && Number.isSafeInteger(value)) return String(value);
  return typeof value === "string" && WORD.test(value) ? value : null;
}
