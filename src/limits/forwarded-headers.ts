import type { HeaderList } from "../http/exchange.ts";
import { type IpAddress, isIPv4Address, type Network } from "../shared/ip-address.ts";
import { isTrusted, peerAddress } from "./client-address.ts";
import { valuesOf } from "./forwarded-fields.ts";

/** Our listeners speak plain HTTP; a proxy before us that speaks TLS says so itself. */
const PROTO = "http";

/**
 * The fields that tell an upstream about the client; each takes the place of the client's fields of that name. What
 * a trusted proxy has said is kept, and the peer appended to its X-Forwarded-For; what anybody else
 * has said is dropped, as it may be invented. `remoteAddress`: the peer as the socket names it.
 */
export function forwardedHeaders(
  remoteAddress: string,
  headers: HeaderList,
  trusted: readonly Network[],
): HeaderList {
  const peer = peerAddress(remoteAddress);
  const believed = peer !== null && isTrusted(peer, trusted);
  const said = (name: string) => (believed ? valuesOf(headers, name) : []);
  const list = [
    "X-Forwarded-For",
    [...said("x-forwarded-for"), addressText(remoteAddress, peer)].join(", "),
    "X-Forwarded-Proto",
    said("x-forwarded-proto")[0] ?? PROTO,
  ];
  const host = said("x-forwarded-host")[0] ?? valuesOf(headers, "host")[0];
  if (host !== undefined) list.push("X-Forwarded-Host", host);
  return list;
}

/** IPv4 in dots also where it came in over an IPv6 socket; IPv6 bare, as X-Forwarded-For has it. */
function addressText(remoteAddress: string, peer: IpAddress | null): string {
  if (peer === null || !isIPv4Address(peer)) return remoteAddress;
  const { w3 } = peer;
  return [w3 >>> 24, (w3 >>> 16) & 255, (w3 >>> 8) & 255, w3 & 255].join(".");
}
