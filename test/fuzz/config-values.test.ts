import { describe, expect, test } from "bun:test";
import { isIP } from "node:net";

import { parseBaseUrl, parseProxyUrl } from "../../src/config/base-url.ts";
import { quote } from "../../src/config/problem.ts";
import {
  credentialRule,
  headerKeyRule,
  headerValueRule,
  nameRule,
  type Rule,
  usernameRule,
} from "../../src/config/rules.ts";
import { SecretExpander } from "../../src/config/secrets.ts";
import { ipVersion, parseNetwork } from "../../src/shared/ip-address.ts";
import { MANY_CASES_TIMEOUT_MS, tryManyCases } from "../support/many-cases.ts";
import type { Random } from "../support/random.ts";

/** Up to `piecesMax` pieces in a row; now and then with any character among them. */
function textOf(random: Random, pieces: readonly string[], piecesMax: number): string {
  let text = "";
  for (let count = random.below(piecesMax + 1); count > 0; count--)
    text += random.below(40) === 0 ? String.fromCharCode(random.below(0x300)) : random.pick(pieces);
  return text;
}

function expectSame(found: unknown, wanted: unknown, given: string): void {
  if (!Object.is(found, wanted))
    throw new Error(`${JSON.stringify(given)} gave ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
}

/** A test of as many texts as there is time for. `check` tells whether a text is a good one: a share of them must be. */
function testTexts(name: string, what: string, check: (random: Random) => boolean): void {
  test(
    name,
    () => {
      let good = 0;
      const cases = tryManyCases(what, (random) => {
        if (check(random)) good++;
      });
      expect(good).toBeWithin(cases / 20, cases);
    },
    MANY_CASES_TIMEOUT_MS,
  );
}

// Mostly right, as much else in a text may be wrong.
const SCHEMES = [..."hhhhhhhh"]
  .map(() => "http://")
  .concat(["http://", "https://", "HTTP://", "http:/", "http:", "ftp://", "//", "", "http:///", "http://\\"]);
const URL_PIECES = [
  "u",
  "h.test",
  ":",
  "8080",
  "0",
  "@",
  "user:pass@",
  "/",
  "//",
  "/v1",
  "?",
  "?key=k",
  "#",
  "%41",
  "%",
  "%00",
  "%0a",
  "%zz",
];
URL_PIECES.push(
  "[::1]",
  "[",
  "]",
  "\\",
  " ",
  "\t",
  "\n",
  "\0",
  "é",
  "..",
  "/./",
  "xn--",
  "\u3002",
  "127.1",
  "0x7f",
  ";",
  "a@b@",
);

testTexts("a base URL that is taken leads to one host, whoever reads it", "URLs", (random) => {
  const text = random.pick(SCHEMES) + textOf(random, URL_PIECES, 7);
  const proxy = parseProxyUrl(text);
  const base = parseBaseUrl(text);
  if (typeof base === "string") {
    // What is no URL for an upstream is none for a proxy, and is not repeated.
    expectSame(typeof proxy, "string", text);
    if (text.length > 12) expectSame(base.includes(text), false, text);
    return false;
  }
  const { origin, path, query, credentials } = base;
  expectSame(/^https?:\/\/[^/?#@\\\s\0-\x20\x7f-\uffff]+$/.test(origin), true, text);
  expectSame(new URL(origin).origin, origin, text);
  // A plain reader finds the same host: what stands behind the last @ before the first of / and ?.
  const authority = /^[^:]+:\/\/([^/?]*)/.exec(text)![1]!;
  expectSame(
    new URL(`http://${authority.slice(authority.lastIndexOf("@") + 1)}`).hostname,
    new URL(origin).hostname,
    text,
  );
  expectSame(/^(?:\/[\x21-\x7e]*[^/])?$/.test(path) && /^[\x21-\x7e]*$/.test(query), true, text);
  expectSame(new URL(`${origin}${path}?${query}`).host, new URL(origin).host, text);
  const secret = `${credentials?.username ?? ""}${credentials?.password ?? ""}`;
  expectSame(/[\0-\x1f\x7f]/.test(secret), false, text);
  expectSame(credentials === null, !authority.replace(/^:?@/, "").includes("@"), text);
  return true;
});

const isControl = (code: number) => code < 0x20 || code === 0x7f;
/** C1, line separators, and what turns the direction of text around. */
const isUnfit = (code: number) =>
  (code >= 0x80 && code <= 0x9f) || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
const codesOf = (text: string) => text.split("").map((unit) => unit.charCodeAt(0));
const HEADER_NAMES = [
  "connection",
  "content-length",
  "expect",
  "http2-settings",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];
const TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";

/** Each rule, beside what it says, character by character. */
const RULES: [rule: Rule, allows: (text: string) => boolean][] = [
  [
    nameRule,
    (text) =>
      text !== "" &&
      text.length <= 255 &&
      text.isWellFormed() &&
      !codesOf(text).some((code) => isControl(code) || isUnfit(code)),
  ],
  [
    headerValueRule,
    (text) => text.length <= 16_384 && !codesOf(text).some((code) => isControl(code) && code !== 9),
  ],
  [credentialRule, (text) => text.length <= 16_384 && !codesOf(text).some(isControl)],
  [
    usernameRule,
    (text) => text.length <= 16_384 && !codesOf(text).some((code) => isControl(code) || code === 0x3a),
  ],
  [
    headerKeyRule,
    (text) => {
      const key = text.toLowerCase();
      return (
        key.length > 0 &&
        key.length <= 255 &&
        [...text].every((char) => TOKEN_CHARS.includes(char.toLowerCase()) && char < "\x7f") &&
        !key.startsWith("proxy-") &&
        !HEADER_NAMES.includes(key)
      );
    },
  ],
];
const LONG = "y".repeat(16_384 - 128);
const RULE_PIECES = [
  "a",
  "B",
  "X-",
  "-",
  "\t",
  " ",
  "\r\n",
  "\n",
  "\0",
  "\x7f",
  "\x1b",
  ":",
  "é",
  "\u212a",
  "\u2028",
  "\u202e",
  "\u2067",
  "\x85",
  "🌍",
  "\ud800",
];
RULE_PIECES.push("Connection", "Proxy-", "Trans", "fer-", "Encoding", "TE", "x".repeat(128));

testTexts("each rule for text allows what a plain reader of its characters allows", "texts", (random) => {
  // Rarely near the longest that a header's value may be.
  const long = random.below(500) === 0 ? LONG : "";
  const text = long + textOf(random, RULE_PIECES, random.below(12) === 0 ? 5 : 3);
  const [rule, allows] = random.pick(RULES);
  expectSame(rule(text) === null, allows(text), text);
  if (/[\0-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]/.test(quote(text)))
    throw new Error(`${JSON.stringify(text)} is shown raw`);
  return allows(text);
});

const IP_PIECES = [
  "0",
  "1",
  "255",
  "256",
  "01",
  ".",
  ".",
  ":",
  ":",
  "::",
  "ffff",
  "FFFF",
  "fe80",
  "g",
  "%",
  "%eth0",
  "/",
  "/8",
  "/32",
  "/128",
  "/0",
  " ",
  "1.2.3.4",
  "-",
];
const IP_STARTS = ["", "10.0.0.", "::ffff:", "2001:db8::", "1:2:3:4:5:6:7", "192.168.0.0/"];

/** The 128 bits of an address that the platform has written in its own way. */
function bitsOf(address: string): bigint {
  const text = address.includes(":") ? address : `::ffff:${address}`;
  const [head = "", tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const end = tail === undefined ? [] : groups(tail);
  const all = [...groups(head), ...Array<string>(8 - groups(head).length - end.length).fill("0"), ...end];
  return all.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

/** A network by what CIDR means: no bit is set behind its length. */
function isNetwork(text: string): boolean {
  const [address = "", length, more] = text.split("/");
  const version = address.includes("%") ? 0 : isIP(address);
  if (version === 0 || more !== undefined) return false;
  if (length === undefined) return true;
  const max = version === 4 ? 32 : 128;
  if (String(Number.parseInt(length, 10)) !== length || Number(length) < 0 || Number(length) > max)
    return false;
  return (bitsOf(address) & ((1n << BigInt(max - Number(length))) - 1n)) === 0n;
}

testTexts("addresses and networks are those of the platform", "addresses", (random) => {
  const text = random.pick(IP_STARTS) + textOf(random, IP_PIECES, 5);
  // Of a zone the platform takes less: what it may be is for the rule of the key to say.
  const [address = "", zone = "-", more] = text.split("%");
  const hasZone = address !== text;
  const wanted = more === undefined && zone !== "" && (!hasZone || isIP(address) === 6) ? isIP(address) : 0;
  expectSame(ipVersion(text), wanted as 0 | 4 | 6, text);
  expectSame(parseNetwork(text) !== null, isNetwork(text), text);
  return wanted !== 0 || isNetwork(text);
});

const ENV: Readonly<Record<string, string>> = { A: "a}b", EMPTY: "", LOOP: "${A}", B_2: "$${" };
const REFERENCE_PIECES = [
  "$",
  "$$",
  "{",
  "}",
  "${",
  "$${",
  "${A}",
  "${B_2}",
  "${LOOP}",
  "${EMPTY}",
  "${NO}",
  ":-",
  "${EMPTY:-",
  "${NO:-",
  "A",
  "EMPTY",
  "constructor",
  "text",
  "\n",
  "é",
];

/** The references of a text replaced, character by character; null where one cannot be. */
function slowExpand(text: string): string | null {
  let out = "";
  for (let at = 0; at < text.length;) {
    if (text.startsWith("$${", at)) {
      out += "${";
      at += 3;
    } else if (text.startsWith("${", at)) {
      const end = text.indexOf("}", at);
      if (end < 0) return null;
      const body = text.slice(at + 2, end);
      const mark = body.indexOf(":-");
      const name = mark < 0 ? body : body.slice(0, mark);
      if (!/^[A-Za-z_]\w*$/.test(name)) return null;
      const value = Object.keys(ENV).includes(name) ? ENV[name]! : null;
      if (mark < 0 && value === null) return null;
      out += mark < 0 ? value : value || body.slice(mark + 2);
      at = end + 1;
    } else out += text[at++];
  }
  return out;
}

describe("references", () => {
  testTexts(
    "are replaced as a plain reader replaces them, and what they bring in is not looked at",
    "references",
    (random) => {
      const text = textOf(random, REFERENCE_PIECES, 8);
      const expanded = new SecretExpander({ env: ENV, directory: "/" }).expand(text);
      expectSame(expanded.ok ? expanded.value : null, slowExpand(text), text);
      if (expanded.ok) expectSame(expanded.expanded, text.replaceAll("$${", "-").includes("${"), text);
      return expanded.ok;
    },
  );
});

test("the plain readers know both sides", () => {
  expect([
    isNetwork("10.0.0.0/8"),
    isNetwork("10.0.0.1/8"),
    slowExpand("${A}$${A}"),
    slowExpand("${NO}"),
  ]).toEqual([true, false, "a}b${A}", null]);
});
