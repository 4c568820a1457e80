import type { ForwardPlan } from "../config/plan.ts";
import type { BodyBytes, ConnectionDoor, Exchange, HttpServer } from "../http/exchange.ts";
import { listen } from "../http/server.ts";
import { errorAnswer, type ErrorCode } from "./errors.ts";

/** The code for each status with which a request is refused before it is one. */
const REFUSALS: Readonly<Record<number, ErrorCode>> = {
  405: "method_not_allowed",
  408: "request_timeout",
  431: "headers_too_large",
  503: "too_many_connections",
};

/** Listens for one forward in this thread. Throws when the address cannot be bound; see `listen`. */
export function openListener(
  forward: ForwardPlan,
  port: number,
  door: ConnectionDoor,
  bodyBytes: BodyBytes,
  onRequest: (exchange: Exchange) => void,
  onRefusal: (code: ErrorCode, status: number) => void,
): HttpServer {
  return listen({
    address: forward.address,
    port,
    headTimeoutMs: forward.connectTimeoutMs,
    stallTimeoutMs: forward.connectTimeoutMs,
    writeTimeoutMs: forward.limits.writeStallMs,
    idleTimeoutMs: forward.limits.idleMs,
    headBytesMax: forward.limits.headBytesMax,
    headersMax: forward.limits.headersMax,
    door,
    bodyBytes,
    onRequest,
    errorBody(status, message) {
      const code = REFUSALS[status] ?? "malformed_request";
      onRefusal(code, status);
      return errorAnswer(code, "/", crypto.randomUUID(), {
        status,
        message,
        ...(status === 503 ? { retryAfterS: 1 } : {}),
      });
    },
  });
}
