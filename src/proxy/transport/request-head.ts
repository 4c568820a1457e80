import { decimal } from "../../http/decimal.ts";
import type { HeaderList } from "../../http/exchange.ts";
import { areFieldLines, isToken } from "../../http/syntax.ts";
import type { UpstreamRequest } from "./transport.ts";

const SPACE = 0x20;
const DELETE = 0x7f;
/** Methods that mean a body: without one its length is stated as 0 (RFC 9110 8.6). */
const WITH_BODY = new Set(["POST", "PUT", "PATCH"]);

/**
 * Writes a request head, a byte string, with the field that frames its body. `host`: the authority of the
 * origin, for a request without a `Host` of its own. Gives null when a name or value could end its line or
 * begin another one. Whoever made the request has seen to that; this is the last moment to be sure, also of
 * characters that are no bytes and would be cut to some.
 */
export function requestHead(request: UpstreamRequest, host: string, keepAlive: boolean): string | null {
  const { method, target, headers, body } = request;
  if (!isToken(method) || !target.startsWith("/")) return null;
  let head = `${method} ${target} HTTP/1.1\r\n`;
  if (!hasHost(headers)) head += `Host: ${host}\r\n`;
  const at = head.length;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]!}: ${headers[i + 1]!}\r\n`;
  if (body !== null || WITH_BODY.has(method))
    head += `Content-Length: ${body === null ? "0" : decimal(body.length)}\r\n`;
  head += keepAlive ? "\r\n" : "Connection: close\r\n\r\n";
  const isSound = isVisible(head, method.length + 1, target.length) && areFieldLines(head, at, headers);
  return isSound ? head : null;
}

/** Whether there are so many characters at `at` that are neither blanks nor controls, and ASCII. */
function isVisible(text: string, at: number, length: number): boolean {
  for (let i = at; i < at + length; i++) {
    const code = text.charCodeAt(i);
    if (code <= SPACE || code >= DELETE) return false;
  }
  return true;
}

function hasHost(headers: HeaderList): boolean {
  for (let i = 0; i < headers.length; i += 2)
    if (headers[i]!.length === 4 && headers[i]!.toLowerCase() === "host") return true;
  return false;
}
