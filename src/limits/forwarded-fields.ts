import type { HeaderList } from "../http/exchange.ts";
import { type IpAddress, isHostAddress, parseIpAddress } from "../shared/ip-address.ts";
import { trimOws } from "../shared/trim.ts";

/**
 * What the fields of one request say about the way that it came: addresses from the client's end to ours, as the
 * proxies wrote them. Not to be believed without knowing who sent it.
 */
export type Hops = readonly (IpAddress | "malformed")[];

/** `token=token`, `token="quoted"`: one pair of RFC 7239 4, at the beginning of a text. */
const PAIR =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|"((?:[^"\\]|\\[\t\x20-\x7e])*)")/;
/** An IPv6 address in brackets, or an IPv4 address, with or without a port. */
const NODE = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::(?:\d{1,5}|_[A-Za-z0-9._-]+))?$/;

/** Hops of `X-Forwarded-For`; null when there is no such field or nothing in it. */
export function xForwardedFor(headers: HeaderList): Hops | null {
  const hops: (IpAddress | "malformed")[] = [];
  for (const value of valuesOf(headers, "x-forwarded-for")) {
    for (const element of value.split(",")) {
      const text = trimOws(element);
      // Empty elements of a list mean nothing (RFC 9110 5.6.1.2).
      if (text !== "") hops.push(host(parseIpAddress(text) ?? node(text)));
    }
  }
  return hops.length === 0 ? null : hops;
}

/**
 * Hops of `Forwarded` (https://www.rfc-editor.org/rfc/rfc7239): its `for` parameters. One mistake anywhere makes all
 * of it malformed, as what is left of a stray quote cannot be told from what is right of it.
 */
export function forwardedFor(headers: HeaderList): Hops | null {
  const values = valuesOf(headers, "forwarded");
  if (values.length === 0) return null;
  const hops: (IpAddress | "malformed")[] = [];
  for (const value of values) {
    if (!readForwarded(value, hops)) return ["malformed"];
  }
  return hops.length === 0 ? null : hops;
}

/** Appends the hops of one field. False: its syntax is wrong. */
function readForwarded(value: string, hops: (IpAddress | "malformed")[]): boolean {
  let rest = trimOws(value);
  // In the element that is being read: is there anything, and what does its `for` say?
  let empty = true;
  let hop: IpAddress | "malformed" | null = null;
  for (;;) {
    const pair = PAIR.exec(rest);
    if (pair !== null) {
      rest = rest.slice(pair[0].length);
      empty = false;
      if (pair[1]!.toLowerCase() === "for") {
        if (hop !== null) return false;
        hop = host(node(pair[2] ?? pair[3]!.replace(/\\(.)/g, "$1")));
      }
    }
    rest = trimOws(rest);
    if (rest.startsWith(";") && !empty) {
      rest = trimOws(rest.slice(1));
      continue;
    }
    if (rest !== "" && !rest.startsWith(",")) return false;
    // An element that names nobody is still a hop, and one that we cannot skip.
    if (!empty) hops.push(hop ?? "malformed");
    if (rest === "") return true;
    rest = trimOws(rest.slice(1));
    empty = true;
    hop = null;
  }
}

/** The address of a node (RFC 7239 6); null for `unknown`, obfuscated names and anything else. */
function node(text: string): IpAddress | null {
  const match = NODE.exec(text);
  if (match === null) return null;
  const address = match[1] ?? match[2]!;
  return match[1] !== undefined && !address.includes(":") ? null : parseIpAddress(address);
}

function host(address: IpAddress | null): IpAddress | "malformed" {
  return address !== null && isHostAddress(address) ? address : "malformed";
}

/** Values of all fields of that name (given in lower case), in order. */
export function valuesOf(headers: HeaderList, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i]!;
    if (field.length === name.length && field.toLowerCase() === name) values.push(headers[i + 1]!);
  }
  return values;
}
