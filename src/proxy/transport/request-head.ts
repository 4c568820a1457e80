import { isLines, isToken } from "../../http/syntax.ts";
import type { UpstreamRequest } from "./transport.ts";

/** Methods that mean a body: without one its length is stated as 0 (RFC 9110 8.6). */
const WITH_BODY = new Set(["POST", "PUT", "PATCH"]);
/** A control character that is no part of a line end. */
const NOT_HEAD_TEXT = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/;
const TARGET = /^\/[\x21-\x7e]*$/;

/**
 * Writes a request head, a byte string, with the field that frames its body. `host`: the authority of the
 * origin, for a request without a `Host` of its own. Gives null when a name or value could end its line or
 * begin another one. Whoever made the request has seen to that; this is the last moment to be sure, also of
 * characters that are no bytes and would be cut to some.
 */
export function requestHead(request: UpstreamRequest, host: string, keepAlive: boolean): string | null {
  const { method, target, headers, body } = request;
  if (!isToken(method) || !TARGET.test(target)) return null;
  let fields = "";
  let hasHost = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (!isToken(name)) return null;
    hasHost ||= name.length === 4 && name.toLowerCase() === "host";
    fields += `${name}: ${headers[i + 1]!}\r\n`;
  }
  if (!isLines(fields, headers.length / 2) || NOT_HEAD_TEXT.test(fields)) return null;
  if (body !== null) fields += `Content-Length: ${body.length}\r\n`;
  else if (WITH_BODY.has(method)) fields += "Content-Length: 0\r\n";
  if (!keepAlive) fields += "Connection: close\r\n";
  return hasHost
    ? `${method} ${target} HTTP/1.1\r\n${fields}\r\n`
    : `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`;
}
