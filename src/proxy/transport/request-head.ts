import type { HeaderList } from "../../http/exchange.ts";
import { beginPacket, putDecimal, putText } from "../../http/packet.ts";
import { bytesOfFields, putFields, putToken } from "../../http/put-fields.ts";
import type { UpstreamRequest } from "./transport.ts";

const SPACE = 0x20;
const DELETE = 0x7f;
/** Methods that mean a body: without one its length is stated as 0 (RFC 9110 8.6). */
const WITH_BODY = new Set(["POST", "PUT", "PATCH"]);

/** The line's blanks and version, the framing and connection fields and the empty line have at most so many bytes. */
const REST_BYTES_MAX = 100;

/**
 * Puts a request head, with the field that frames its body, at the beginning of the packet. Gives its length. `host`: the
 * authority of the origin, for a request without a `Host` of its own. Gives -1 when a name or value could end its line or
 * begin another one. Whoever made the request has seen to that; this is the last moment to be sure, also of
 * characters that are no bytes and would be cut to some.
 */
export function packRequestHead(request: UpstreamRequest, host: string, keepAlive: boolean): number {
  const { method, target, headers, body } = request;
  const length = method.length + target.length + host.length + bytesOfFields(headers);
  const bytes = beginPacket(length + REST_BYTES_MAX);
  let at = putToken(bytes, 0, method);
  if (at < 0) return -1;
  bytes[at] = SPACE;
  at = putTarget(bytes, at + 1, target);
  if (at < 0) return -1;
  at = putText(bytes, at, " HTTP/1.1\r\n");
  if (!hasHost(headers)) at = putText(bytes, putText(bytes, putText(bytes, at, "Host: "), host), "\r\n");
  at = putFields(bytes, at, headers);
  if (at < 0) return -1;
  if (body !== null || WITH_BODY.has(method)) {
    at = putDecimal(bytes, putText(bytes, at, "Content-Length: "), body === null ? 0 : body.length);
    at = putText(bytes, at, "\r\n");
  }
  return putText(bytes, at, keepAlive ? "\r\n" : "Connection: close\r\n\r\n");
}

/** Puts a path with its query. Gives the position behind it, or -1 when it has characters that no target has. */
function putTarget(bytes: Uint8Array, at: number, target: string): number {
  if (!target.startsWith("/")) return -1;
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code <= SPACE || code >= DELETE) return -1;
    bytes[at + i] = code;
  }
  return at + target.length;
}

function hasHost(headers: HeaderList): boolean {
  for (let i = 0; i < headers.length; i += 2)
    if (headers[i]!.length === 4 && headers[i]!.toLowerCase() === "host") return true;
  return false;
}
