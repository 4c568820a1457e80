import { assert } from "../shared/assert.ts";
import type { HeaderList } from "./exchange.ts";
import { beginPacket, putDecimal, putText } from "./packet.ts";
import { bytesOfFields, putFields } from "./put-fields.ts";

/** Reason phrases of the statuses that LLM APIs and we ourselves use; an empty phrase is legal (RFC 9112 4). */
const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  206: "Partial Content",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  417: "Expectation Failed",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

/** A line made of parts would be put together anew for each response. */
const STATUS_LINES = new Map(
  Object.keys(REASONS).map((status) => [Number(status), statusLine(Number(status))]),
);

function statusLine(status: number): string {
  return `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n`;
}

/** How the end of an answer's body is told to the client. */
export type Framing = "none" | "chunked" | "until-close" | number;

/** The framing and connection fields have at most so many bytes, and the empty line. */
const REST_BYTES_MAX = 80;

/**
 * Puts a response head at the beginning of the packet. Gives its length. `headers` are written as they stand, so they
 * hold no framing field; that one is made from `framing`: a number is the Content-Length. Throws where a name or value
 * is none, as with a line break in it: such a field would begin a response of its own.
 */
export function packResponseHead(
  status: number,
  headers: HeaderList,
  framing: Framing,
  keepAlive: boolean,
): number {
  const line = STATUS_LINES.get(status) ?? statusLine(status);
  const bytes = beginPacket(line.length + bytesOfFields(headers) + REST_BYTES_MAX);
  let at = putFields(bytes, putText(bytes, 0, line), headers);
  assert(at >= 0, "a header to a client has no valid name or value");
  if (typeof framing === "number") {
    at = putDecimal(bytes, putText(bytes, at, "Content-Length: "), framing);
    at = putText(bytes, at, "\r\n");
  } else if (framing === "chunked") at = putText(bytes, at, "Transfer-Encoding: chunked\r\n");
  return putText(bytes, at, keepAlive ? "\r\n" : "Connection: close\r\n\r\n");
}
