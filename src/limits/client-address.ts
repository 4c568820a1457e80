import type { HeaderList } from "../http/exchange.ts";
import type { ClientKey } from "../memory/rate-limit-table.ts";
import {
  contains,
  type IpAddress,
  isIPv4Address,
  type Network,
  parseIpAddress,
} from "../shared/ip-address.ts";
import { forwardedFor, type Hops, xForwardedFor } from "./forwarded-fields.ts";

/** The peer of a connection as an address; null for a text that is none, which the system does not give. */
export function peerAddress(remoteAddress: string): IpAddress | null {
  const zone = remoteAddress.indexOf("%");
  return parseIpAddress(zone < 0 ? remoteAddress : remoteAddress.slice(0, zone));
}

export function isTrusted(address: IpAddress, trusted: readonly Network[]): boolean {
  return trusted.some((network) => contains(network, address));
}

/**
 * Who the client is: the peer, unless that is a proxy that we trust. Then it is the last hop that is no trusted
 * proxy, or the first hop where all are.
 *
 * A trusted proxy that writes one of the two fields may pass the client's own version of the other on. So
 * where both are there and name different clients, neither is believed, and the client is the peer; as it is where
 * the way to the client leads over something malformed.
 */
export function clientOf(peer: IpAddress, headers: HeaderList, trusted: readonly Network[]): IpAddress {
  if (trusted.length === 0 || !isTrusted(peer, trusted)) return peer;
  const x = xForwardedFor(headers);
  const standard = forwardedFor(headers);
  const byX = x === null ? null : lastUntrusted(x, trusted);
  const byStandard = standard === null ? null : lastUntrusted(standard, trusted);
  if (byX === null || byStandard === null) return believed(byX ?? byStandard, peer);
  return byX !== "malformed" && byStandard !== "malformed" && isSame(byX, byStandard) ? byX : peer;
}

function believed(client: IpAddress | "malformed" | null, peer: IpAddress): IpAddress {
  return client === null || client === "malformed" ? peer : client;
}

function lastUntrusted(hops: Hops, trusted: readonly Network[]): IpAddress | "malformed" {
  for (let i = hops.length - 1; i >= 0; i--) {
    const hop = hops[i]!;
    if (hop === "malformed" || i === 0 || !isTrusted(hop, trusted)) return hop;
  }
  return "malformed";
}

function isSame(a: IpAddress, b: IpAddress): boolean {
  return a.w3 === b.w3 && a.w2 === b.w2 && a.w1 === b.w1 && a.w0 === b.w0;
}

/**
 * Whom a rate limit counts: an IPv4 address by itself, an IPv6 address by its first 64 bits, as a single subscriber
 * has at least that many addresses (https://www.rfc-editor.org/rfc/rfc6177). Never all zero: IPv4 has zero in
 * the first word and no host is 0.0.0.0; IPv6 has its first word inverted there, and no host is in ffff::/16.
 */
export function clientKey(address: IpAddress): ClientKey {
  if (isIPv4Address(address)) return { high: 0, low: address.w3 | 0 };
  return { high: ~address.w0, low: address.w1 | 0 };
}
