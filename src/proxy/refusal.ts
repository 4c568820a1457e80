import type { Exchange } from "../http/exchange.ts";
import type { AccessRecord } from "../observe/access-log.ts";
import { errorAnswer, type ErrorCode } from "./errors.ts";
import type { Route } from "./route.ts";

/** The code for each status with which a request is refused before it is one. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  405: "method_not_allowed",
  408: "request_timeout",
  431: "headers_too_large",
  503: "too_many_connections",
};

/** Answers what a client sent in place of a request, and tells metrics and access log. */
export function refuse(exchange: Exchange, route: Route, status: number, message: string): void {
  const code = CODES[status] ?? "malformed_request";
  const id = crypto.randomUUID();
  const { remoteAddress } = exchange;
  route.metrics.forward(route.forward.id).failed(code, status);
  exchange.onFinished = () => logRefusal(exchange, route, id, remoteAddress, code, status);
  const retryAfter = status === 503 ? { retryAfterS: 1 } : {};
  const { headers, body } = errorAnswer(code, "/", id, { status, message, ...retryAfter });
  exchange.respond(status, headers, body);
}

/** All that is known is who it was and what is wrong: a head that cannot be read names nothing for sure. */
function logRefusal(
  { bytesOut }: Exchange,
  { accessLog, forward, group }: Route,
  requestId: string,
  client: string,
  error: ErrorCode,
  status: number,
): void {
  if (accessLog === null) return;
  const record: AccessRecord = {
    endedMs: Date.now(),
    requestId,
    forward: forward.name,
    client,
    method: null,
    target: null,
    model: null,
    responseModel: null,
    stream: null,
    group: group.name,
    attempts: [],
    rejected: [],
    status,
    outcome: "error",
    error,
    bytesIn: 0,
    bytesOut,
    ttftMs: null,
    durationMs: null,
    usage: null,
  };
  accessLog.add({ writeTo: (lines) => accessLog.write(lines, record) });
}
