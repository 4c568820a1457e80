import type { BodyFailure, Exchange } from "../http/exchange.ts";
import { nowMs } from "../shared/clock.ts";
import type { ErrorCode, ErrorDetail } from "./errors.ts";
import type { Route } from "./route.ts";

/** Why a request is not let in. `client-gone`: there is nobody left to be told. */
export type Refusal = { readonly code: ErrorCode; readonly detail: ErrorDetail } | "client-gone";

/** What a client that is turned away for want of room may wait before it comes again. */
const BUSY_RETRY_S = 1;
const TOO_MANY_IN_FLIGHT: Refusal = {
  code: "too_many_in_flight",
  detail: { retryAfterS: BUSY_RETRY_S },
};

/**
 * Lets a request in, with its body, or says why not. One that is let in is in progress: `route.limits.requests.leave()`
 * must follow when it is answered. Its body counts only once it is there, so that slow senders take no place
 * from others; but none is read where there is no place left. Gives no promise where the body is there already.
 */
export function admit(
  exchange: Exchange,
  route: Route,
): Uint8Array | Refusal | Promise<Uint8Array | Refusal> {
  const { limits } = route;
  const limited = checkRate(exchange, route);
  if (limited !== null) return limited;
  if (limits.requests.full) return TOO_MANY_IN_FLIGHT;
  const body = exchange.readBody(limits.bodyBytesMax);
  return body instanceof Promise
    ? body.then((read) => admitBody(exchange, route, read))
    : admitBody(exchange, route, body);
}

function admitBody(
  exchange: Exchange,
  { limits }: Route,
  body: Uint8Array | BodyFailure,
): Uint8Array | Refusal {
  if (typeof body === "string") return refusalOf(body, limits.bodyBytesMax);
  // Content in a GET or HEAD has no meaning (RFC 9110 9.3.1), and is a known way to smuggle a request past a proxy.
  if (body.length > 0 && (exchange.method === "GET" || exchange.method === "HEAD"))
    return {
      code: "malformed_request",
      detail: { message: `A ${exchange.method} request may not have a body.` },
    };
  if (exchange.aborted) return "client-gone";
  return limits.requests.enter() ? body : TOO_MANY_IN_FLIGHT;
}

function checkRate(exchange: Exchange, { forward, limits, metrics }: Route): Refusal | null {
  const { rate } = limits;
  if (rate === null) return null;
  const verdict = limits.checkRate(exchange, nowMs());
  if (verdict === "admitted") return null;
  if (verdict === "untracked") {
    metrics.rateLimit(forward.id, "untracked");
    return null;
  }
  metrics.rateLimit(forward.id, "limited");
  const { waitS } = verdict;
  return {
    code: "rate_limited",
    detail: { message: rate.text, retryAfterS: waitS, headers: rate.refusalHeaders(waitS) },
  };
}

function refusalOf(failure: BodyFailure, bodyBytesMax: number): Refusal {
  switch (failure) {
    case "too-large":
      return {
        code: "request_too_large",
        detail: { message: `The request body may have at most ${bodyBytesMax} bytes.` },
      };
    case "no-room":
      return { code: "no_room_for_body", detail: { retryAfterS: BUSY_RETRY_S } };
    case "stalled":
      return { code: "request_timeout", detail: { message: "The request body did not arrive in time." } };
    case "malformed":
      return { code: "malformed_request", detail: { message: "The chunked request body is malformed." } };
    case "closed":
      return "client-gone";
  }
}
