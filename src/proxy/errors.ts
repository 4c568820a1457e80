import type { HeaderList } from "../http/exchange.ts";
import { type ErrorShape, errorShapeOf } from "../llm/dialect.ts";

/** Whose doing an error is. */
export type ErrorSource = "downstream" | "upstream" | "internal";

interface ErrorKind {
  readonly status: number;
  readonly source: ErrorSource;
  /** `error.type` as OpenAI and as Anthropic name it; their SDKs choose the class by the status. */
  readonly openai: string;
  readonly anthropic: string;
  readonly message: string;
}

/** Every error that the proxy itself answers with: the one place that picks the status. */
const KINDS = {
  malformed_request: kind(
    400,
    "downstream",
    "invalid_request_error",
    "invalid_request_error",
    "The request is malformed.",
  ),
  method_not_allowed: kind(
    405,
    "downstream",
    "invalid_request_error",
    "invalid_request_error",
    "The method is not allowed.",
  ),
  request_timeout: kind(
    408,
    "downstream",
    "invalid_request_error",
    "invalid_request_error",
    "The request did not arrive in time.",
  ),
  request_too_large: kind(
    413,
    "downstream",
    "invalid_request_error",
    "request_too_large",
    "The request body is too large.",
  ),
  rate_limited: kind(429, "downstream", "rate_limit_error", "rate_limit_error", "Too many requests."),
  headers_too_large: kind(
    431,
    "downstream",
    "invalid_request_error",
    "invalid_request_error",
    "The request headers are too large.",
  ),
  too_many_connections: kind(
    503,
    "downstream",
    "server_error",
    "overloaded_error",
    "There are too many connections.",
  ),
  too_many_in_flight: kind(
    503,
    "downstream",
    "server_error",
    "overloaded_error",
    "Too many requests are in progress.",
  ),
  no_room_for_body: kind(
    503,
    "internal",
    "server_error",
    "overloaded_error",
    "There is no memory left for the request body at the moment.",
  ),
  no_files_left: kind(
    503,
    "internal",
    "server_error",
    "overloaded_error",
    "The proxy cannot open another connection at the moment.",
  ),
  internal_error: kind(
    500,
    "internal",
    "server_error",
    "api_error",
    "The proxy failed to handle the request.",
  ),
  upstream_unreachable: kind(
    502,
    "upstream",
    "server_error",
    "api_error",
    "The upstream could not be reached.",
  ),
  upstream_broken: kind(502, "upstream", "server_error", "api_error", "The upstream gave no valid response."),
  upstream_unavailable: kind(
    503,
    "upstream",
    "server_error",
    "overloaded_error",
    "No upstream is available.",
  ),
  upstream_limited: kind(
    429,
    "upstream",
    "rate_limit_error",
    "rate_limit_error",
    "Every upstream is rate limited.",
  ),
  upstream_timeout: kind(
    504,
    "upstream",
    "server_error",
    "timeout_error",
    "The upstream did not answer in time.",
  ),
} satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof KINDS;

function kind(
  status: number,
  source: ErrorSource,
  openai: string,
  anthropic: string,
  message: string,
): ErrorKind {
  return { status, source, openai, anthropic, message };
}

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
}

/** What an answer may say beyond its code. */
export interface ErrorDetail {
  /** Says more than the code's own text. Never holds anything of a header, body or URL. */
  readonly message?: string;
  /** Another status than the code's own, for the syntax errors that have one each (405, 417, 501, 505). */
  readonly status?: number;
  /** Seconds, rounded up, for `Retry-After`. */
  readonly retryAfterS?: number;
  /** The proxy has used up its retries: SDKs shall not multiply them by theirs. */
  readonly retriesUsedUp?: boolean;
  /** Further fields of the answer. */
  readonly headers?: HeaderList;
}

export function statusOf(code: ErrorCode): number {
  return KINDS[code].status;
}

export function sourceOf(code: ErrorCode): ErrorSource {
  return KINDS[code].source;
}

/**
 * An error in the shape that the client's SDK parses, told by the request path, with the request id in both
 * spellings (OpenAI's SDKs read `x-request-id`, Anthropic's `request-id`).
 */
export function errorAnswer(
  code: ErrorCode,
  path: string,
  requestId: string,
  detail: ErrorDetail = {},
): ErrorAnswer {
  const known = KINDS[code];
  const message = detail.message ?? known.message;
  const json = shaped(errorShapeOf(path), code, message, requestId);
  const headers = ["Content-Type", "application/json", "X-Request-Id", requestId, "Request-Id", requestId];
  if (detail.retryAfterS !== undefined)
    headers.push("Retry-After", String(Math.max(1, Math.ceil(detail.retryAfterS))));
  if (detail.headers !== undefined) headers.push(...detail.headers);
  if (detail.retriesUsedUp === true) headers.push("X-Should-Retry", "false");
  return { status: detail.status ?? known.status, headers, body: Buffer.from(JSON.stringify(json)) };
}

function shaped(shape: ErrorShape, code: ErrorCode, message: string, requestId: string): object {
  const { openai, anthropic } = KINDS[code];
  switch (shape) {
    case "anthropic":
      return { type: "error", error: { type: anthropic, message }, request_id: requestId };
    case "ollama":
      return { error: message };
    case "openai":
      return { error: { message, type: openai, code, param: null } };
  }
}
