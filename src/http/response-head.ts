import { assert } from "../shared/assert.ts";
import { decimal } from "./decimal.ts";
import type { HeaderList } from "./exchange.ts";
import { areFieldLines } from "./syntax.ts";

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

/** How the end of an answer's body is told to the client. */
export type Framing = "none" | "chunked" | "until-close" | number;

/**
 * Writes a response head, a byte string. `headers` are written as they stand, so they hold no framing field;
 * that one is made from `framing`: a number is the Content-Length. Throws where a name or value is none, as with a line
 * break in it: such a field would begin a response of its own.
 */
export function responseHead(
  status: number,
  headers: HeaderList,
  framing: Framing,
  keepAlive: boolean,
): string {
  let head = `HTTP/1.1 ${decimal(status)} ${REASONS[status] ?? ""}\r\n`;
  const at = head.length;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]!}: ${headers[i + 1]!}\r\n`;
  if (typeof framing === "number") head += `Content-Length: ${decimal(framing)}\r\n`;
  else if (framing === "chunked") head += "Transfer-Encoding: chunked\r\n";
  head += keepAlive ? "\r\n" : "Connection: close\r\n\r\n";
  assert(areFieldLines(head, at, headers), "a header to a client has no valid name or value");
  return head;
}
