import { describe, expect, test } from "bun:test";

import {
  errorAnswer,
  type ErrorCode,
  type ErrorDetail,
  type ErrorSource,
  sourceOf,
  statusOf,
} from "../../src/proxy/errors.ts";
import { headerValue } from "../../src/proxy/headers.ts";

/** Status, source, and `error.type` as OpenAI and as Anthropic name it. */
const KINDS: Record<ErrorCode, [number, ErrorSource, string, string]> = {
  malformed_request: [400, "downstream", "invalid_request_error", "invalid_request_error"],
  method_not_allowed: [405, "downstream", "invalid_request_error", "invalid_request_error"],
  request_timeout: [408, "downstream", "invalid_request_error", "invalid_request_error"],
  request_too_large: [413, "downstream", "invalid_request_error", "request_too_large"],
  rate_limited: [429, "downstream", "rate_limit_error", "rate_limit_error"],
  headers_too_large: [431, "downstream", "invalid_request_error", "invalid_request_error"],
  too_many_connections: [503, "downstream", "server_error", "overloaded_error"],
  too_many_in_flight: [503, "downstream", "server_error", "overloaded_error"],
  no_files_left: [503, "internal", "server_error", "overloaded_error"],
  no_room_for_body: [503, "internal", "server_error", "overloaded_error"],
  internal_error: [500, "internal", "server_error", "api_error"],
  upstream_unreachable: [502, "upstream", "server_error", "api_error"],
  upstream_broken: [502, "upstream", "server_error", "api_error"],
  upstream_unavailable: [503, "upstream", "server_error", "overloaded_error"],
  upstream_limited: [429, "upstream", "rate_limit_error", "rate_limit_error"],
  upstream_timeout: [504, "upstream", "server_error", "timeout_error"],
};

const answer = (code: ErrorCode, path = "/v1/chat/completions", detail: ErrorDetail = {}) =>
  errorAnswer(code, path, "id-1", detail);

const parsed = (body: Uint8Array): unknown => JSON.parse(Buffer.from(body).toString("utf8"));

describe("an error of the proxy's own", () => {
  for (const code of Object.keys(KINDS) as ErrorCode[]) {
    const [status, source, openai, anthropic] = KINDS[code];
    test(`${code} is a ${status} in the shape that the client's SDK reads`, () => {
      expect([statusOf(code), sourceOf(code)]).toEqual([status, source]);
      for (const path of ["/v1/chat/completions", "/chat/completions", "/v1/models", "/", "/anything"]) {
        const { body, headers, status: given } = answer(code, path);
        expect(given).toBe(status);
        expect(parsed(body)).toEqual({
          error: { message: expect.any(String), type: openai, code, param: null },
        });
        expect(headerValue(headers, "content-type")).toBe("application/json");
      }
      for (const path of ["/v1/messages", "/messages", "/v1/messages/count_tokens"]) {
        expect(parsed(answer(code, path).body)).toEqual({
          type: "error",
          error: { type: anthropic, message: expect.any(String) },
          request_id: "id-1",
        });
      }
      for (const path of ["/api/chat", "/api/generate", "/api/embed"])
        expect(parsed(answer(code, path).body)).toEqual({ error: expect.any(String) });
    });
  }

  test("carries the request id in the spelling of every SDK", () => {
    const { headers } = answer("upstream_broken");
    expect(headerValue(headers, "x-request-id")).toBe("id-1");
    expect(headerValue(headers, "request-id")).toBe("id-1");
  });

  const waits: [number | undefined, string | null][] = [
    [undefined, null],
    [-5, "1"],
    [0, "1"],
    [0.001, "1"],
    [1, "1"],
    [1.0001, "2"],
    [29.5, "30"],
    [30, "30"],
  ];
  test.each(waits)("that may pass in %p s says Retry-After: %p", (retryAfterS, expected) => {
    const detail = retryAfterS === undefined ? {} : { retryAfterS };
    expect(headerValue(answer("upstream_unavailable", "/", detail).headers, "retry-after")).toBe(expected);
  });

  test("tells SDKs not to retry only once the proxy has", () => {
    expect(headerValue(answer("upstream_broken").headers, "x-should-retry")).toBeNull();
    const { headers } = answer("upstream_broken", "/", { retriesUsedUp: true });
    expect(headerValue(headers, "x-should-retry")).toBe("false");
    expect(
      headerValue(answer("upstream_broken", "/", { retriesUsedUp: false }).headers, "x-should-retry"),
    ).toBeNull();
  });

  test("may carry fields of its own", () => {
    const { headers } = answer("rate_limited", "/", { headers: ["RateLimit-Remaining", "0"] });
    expect(headerValue(headers, "ratelimit-remaining")).toBe("0");
  });

  test("may say more than its code does, and have a status of its own", () => {
    const { status, body } = answer("malformed_request", "/", { status: 505, message: 'no "HTTP/2"\n' });
    expect(status).toBe(505);
    expect(parsed(body)).toMatchObject({ error: { message: 'no "HTTP/2"\n', code: "malformed_request" } });
  });
});
