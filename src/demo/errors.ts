import { jsonAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";

/** Whose error shape an answer takes. */
export type Dialect = "openai" | "anthropic" | "ollama";

const OPENAI_TYPES = new Map([
  [400, "invalid_request_error"],
  [401, "authentication_error"],
  [403, "permission_error"],
  [404, "not_found_error"],
  [405, "invalid_request_error"],
  [429, "rate_limit_exceeded"],
]);

const ANTHROPIC_TYPES = new Map([
  [400, "invalid_request_error"],
  [401, "authentication_error"],
  [402, "billing_error"],
  [403, "permission_error"],
  [404, "not_found_error"],
  [405, "invalid_request_error"],
  [409, "conflict_error"],
  [413, "request_too_large"],
  [429, "rate_limit_error"],
  [504, "timeout_error"],
  [529, "overloaded_error"],
]);

/** The body of an error in the shape of the API; `code` takes the place of the usual type, null for that. */
export function errorBody(dialect: Dialect, status: number, code: string | null, message: string): object {
  switch (dialect) {
    case "openai": {
      const type = code ?? OPENAI_TYPES.get(status) ?? "server_error";
      return { error: { message, type, param: null, code: type } };
    }
    case "anthropic": {
      const type = code ?? ANTHROPIC_TYPES.get(status) ?? "api_error";
      return { type: "error", error: { type, message }, request_id: null };
    }
    case "ollama":
      return { error: message };
  }
}

/** An error as a whole answer. */
export function errorAnswer(dialect: Dialect, status: number, code: string | null, message: string): Answer {
  return jsonAnswer(status, errorBody(dialect, status, code, message));
}

/** Dialect of a path without query and `/v1`. */
export function dialectOf(path: string): Dialect {
  if (path === "/messages" || path.startsWith("/messages/")) return "anthropic";
  return path.startsWith("/api/") ? "ollama" : "openai";
}

/** The message of errors that a script asks for in the middle of a stream. */
export const STREAM_ERROR_MESSAGE = "The scripted upstream broke off this answer.";
