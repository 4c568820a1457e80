import { type IpAddress, isIPv4Address } from "../shared/ip-address.ts";

/** Writes an address: IPv4 in dots, IPv6 in its short form without brackets (https://www.rfc-editor.org/rfc/rfc5952). */
export function addressText(address: IpAddress): string {
  const { w0, w1, w2, w3 } = address;
  if (isIPv4Address(address)) return [w3 >>> 24, (w3 >>> 16) & 255, (w3 >>> 8) & 255, w3 & 255].join(".");
  const pieces = [w0, w1, w2, w3].flatMap((word) => [(word >>> 16) & 0xffff, word & 0xffff]);
  // The parser of URLs knows the rules of the short form.
  return new URL(`http://[${pieces.map((piece) => piece.toString(16)).join(":")}]`).hostname.slice(1, -1);
}
