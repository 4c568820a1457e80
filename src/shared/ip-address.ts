/**
 * An IP address as four 32-bit words, most significant first. An IPv4 address is held as the IPv6 address that
 * maps it (::ffff:a.b.c.d), so one host has one value whichever way its address was written.
 * https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5.2
 */
export interface IpAddress {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
}

/** Addresses that share their first `bits` bits (0-128; an IPv4 network of n bits has 96 + n). */
export interface Network extends IpAddress {
  readonly bits: number;
}

const MAPPED = 0xffff;
const IPV4_PREFIX_BITS = 96;
/** The longest text of an address, with the IPv4 part written in dots. */
const CHARS_MAX = 45;

/** Reads an IPv4 or IPv6 address, strictly: no leading zeros in IPv4, no zone, no brackets. Null: it is none. */
export function parseIpAddress(text: string): IpAddress | null {
  if (text.length > CHARS_MAX) return null;
  if (text.includes(":")) return parseIPv6(text);
  const value = parseIPv4(text);
  return value < 0 ? null : { w0: 0, w1: 0, w2: MAPPED, w3: value };
}

/**
 * Tells an IPv4 address (4) and an IPv6 address (6, with or without a zone) from any other text (0). What `isIP` of
 * `node:net` does, whose module takes two milliseconds and five megabytes to load.
 */
export function ipVersion(text: string): 0 | 4 | 6 {
  if (!text.includes(":")) return parseIPv4(text) < 0 ? 0 : 4;
  return parseIPv6(text.replace(/%[^%]+$/, "")) === null ? 0 : 6;
}

/** Reads `10.0.0.0/8`, `2001:db8::/32`, or a single address. Null: it is none, or has bits beyond its length. */
export function parseNetwork(text: string): Network | null {
  const slash = text.indexOf("/");
  const address = parseIpAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const offset = text.includes(":") ? 0 : IPV4_PREFIX_BITS;
  const length = slash < 0 ? String(128 - offset) : text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length)) return null;
  const bits = offset + Number(length);
  if (bits > 128) return null;
  const network = { ...address, bits };
  return hasHostBits(network) ? null : network;
}

/** True when the network holds the address. */
export function contains(network: Network, { w0, w1, w2, w3 }: IpAddress): boolean {
  const { bits } = network;
  return (
    ((w0 ^ network.w0) & maskOf(bits)) === 0 &&
    ((w1 ^ network.w1) & maskOf(bits - 32)) === 0 &&
    ((w2 ^ network.w2) & maskOf(bits - 64)) === 0 &&
    ((w3 ^ network.w3) & maskOf(bits - 96)) === 0
  );
}

export function isIPv4Address({ w0, w1, w2 }: IpAddress): boolean {
  return w2 === MAPPED && w1 === 0 && w0 === 0;
}

/**
 * True for an address that can be one host's: neither the unspecified one nor a multicast one.
 * https://www.rfc-editor.org/rfc/rfc4291#section-2.7, https://www.rfc-editor.org/rfc/rfc1112#section-4
 */
export function isHostAddress(address: IpAddress): boolean {
  if (isIPv4Address(address)) return address.w3 !== 0 && address.w3 >>> 28 !== 0xe;
  const { w0, w1, w2, w3 } = address;
  return w0 >>> 24 !== 0xff && (w0 | w1 | w2 | w3) !== 0;
}

/** The first `bits` bits of the 32 (none below 0, all from 32 on). */
function maskOf(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? -1 : -1 << (32 - bits);
}

function hasHostBits(network: Network): boolean {
  const { w0, w1, w2, w3, bits } = network;
  const beyond =
    (w0 & ~maskOf(bits)) | (w1 & ~maskOf(bits - 32)) | (w2 & ~maskOf(bits - 64)) | (w3 & ~maskOf(bits - 96));
  return beyond !== 0;
}

/** Gives the address as a number from 0, or -1. By hand, as this is asked for every request. */
function parseIPv4(text: string): number {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      if (octet < 0 || ++dots > 3) return -1;
      value = value * 256 + octet;
      octet = -1;
      continue;
    }
    // A leading zero means octal to some readers.
    if (code < 0x30 || code > 0x39 || octet === 0) return -1;
    octet = (octet < 0 ? 0 : octet * 10) + (code - 0x30);
    if (octet > 255) return -1;
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1;
}

/** https://www.rfc-editor.org/rfc/rfc4291#section-2.2 */
function parseIPv6(text: string): IpAddress | null {
  const gap = text.indexOf("::");
  if (gap !== text.lastIndexOf("::")) return null;
  const head = gap < 0 ? groupsOf(text, true) : groupsOf(text.slice(0, gap), false);
  const tail = gap < 0 ? [] : groupsOf(text.slice(gap + 2), true);
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (gap < 0 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const word = (at: number) => groups[at]! * 65_536 + groups[at + 1]!;
  return { w0: word(0), w1: word(2), w2: word(4), w3: word(6) };
}

/** The 16-bit groups between colons; the last may be an IPv4 address (`mayEndInIPv4`), which makes two. */
function groupsOf(text: string, mayEndInIPv4: boolean): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const value = mayEndInIPv4 && i === parts.length - 1 ? parseIPv4(part) : -1;
    if (value < 0) return null;
    groups.push(Math.floor(value / 65_536), value % 65_536);
  }
  return groups;
}
