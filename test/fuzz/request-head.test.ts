import { expect, test } from "bun:test";

import {
  endOfHead,
  type HeadError,
  parseRequestHead,
  type RequestHead,
} from "../../src/http/request-head.ts";
import { upstreamHeaders } from "../../src/proxy/headers.ts";
import { upstreamTarget } from "../../src/proxy/target.ts";
import { upstreamPlan } from "../proxy/plans.ts";
import { MANY_CASES_TIMEOUT_MS, tryManyCases } from "../support/many-cases.ts";
import type { Random } from "../support/random.ts";
import { referenceHead } from "./request-head-reference.ts";

const METHODS = ["GET", "POST", "get", "DELETE", "CONNECT", "P\0ST", "G ET", "TRACE", ""];
const TARGETS = [
  ..."/ /v1/models /v1/chat?x=1 //evil.test/v1 /../x /a/%2e%2e/b /a/.%2e;/b /a/..%2fb http://evil.test/v1 * evil.test:443 @evil.test".split(
    " ",
  ),
  "/\\evil.test",
  "/a#b",
  "/caf\u00e9",
  "http://u@evil.test/",
  "/a%0d%0aX-Evil:%201",
  "http:evil",
];
const VERSIONS = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.1\r", "http/1.1"];
const LINES = [
  "Host: llm.test",
  "Host: llm.test",
  "host: evil.test",
  "Content-Length: 5",
  "Content-Length: 0",
  "content-length: 6",
  "Content-Length : 5",
  "Content_Length: 5",
  "Transfer-Encoding: chunked",
  "transfer-encoding: CHUNKED",
  "Transfer-Encoding: gzip, chunked",
  "Connection: close, content-length",
  "Connection: authorization",
  "Authorization: Bearer a",
  "X-A: a\rX-Evil: 1",
  "X-A: a\nX-Evil: 1",
  "X-A: a\r\n X-Evil: 1",
  "X-A: \u00c4\u008a\u00c4\u008dX-Evil: 1",
  "X-\u00e9: 1",
  ": 1",
  "Expect: 100-continue",
  "Upgrade: websocket",
  "Expect: 200-ok",
  "expect:\t100-CONTINUE ",
  "Connection: Close\t, x",
  "Connection: keep-alive, Upgrade",
  "Content-Length: +5",
  "transfer_encoding: chunked",
  "X-Api-Key: a",
  "Host: [::1]:80",
  "X-Empty: \t ",
];
const NOISE = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ",",
  "\x7f",
  "\xff",
  "/",
  "..",
  "%2e",
  "%2F",
  ";",
  "#",
  "?",
  "@",
  "\\",
  "a",
];
const BASE = upstreamPlan({ origin: "http://upstream.test:8000", basePath: "/tenant/v1" });

/** A head as an attacker would try it, mostly nearly right, sometimes with a few bytes changed. */
function randomHead(random: Random): string {
  const pick = (list: readonly string[]) => list[random.below(list.length)]!;
  const often = (list: readonly string[]) => (random.below(3) > 0 ? list[random.below(2)]! : pick(list));
  let text = `${often(METHODS)} ${often(TARGETS)} ${pick(VERSIONS)}\r\n`;
  if (random.below(8) > 0) text += "Host: llm.test\r\n";
  for (let lines = random.below(4); lines > 0; lines--) text += `${pick(LINES)}\r\n`;
  for (let changes = random.below(3) - 1; changes > 0; changes--) {
    const at = random.below(text.length - 2);
    text = text.slice(0, at) + pick(NOISE) + text.slice(at + random.below(2));
  }
  return text;
}

/** What goes out for it: one request, to the right place. */
function checkForwarded(head: RequestHead): void {
  const fail = (what: string): never => {
    throw new Error(`${what}: ${JSON.stringify(head)}`);
  };
  const headers = upstreamHeaders(head.headers, BASE, "agent", "id");
  for (const [at, part] of headers.entries()) {
    if (/[\r\n\0]/.test(part)) fail("a line end leaves");
    if (at % 2 === 1) continue;
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(part)) fail(`a field is named ${part}`);
    if (/^(?:host|content[-_]length|transfer[-_]encoding|connection|upgrade|expect)$/i.test(part))
      fail(`the field ${part} passed`);
  }
  const target = upstreamTarget(BASE, head.target);
  if (!/^\/tenant\/v1(?:[/?][\x21-\x7e]*)?$/.test(target)) fail(`it asks for ${target}`);
  const url = new URL(BASE.origin + target);
  if (url.origin !== BASE.origin || !/^\/tenant\/v1(?:\/|$)/.test(url.pathname))
    fail(`it leads to ${url.href}`);
}

/** Finds the end of the head as a connection does to which the bytes come in pieces. */
function endInPieces(random: Random, bytes: Buffer): number | HeadError | null {
  let searched = 0;
  for (let length = 1 + random.below(8); ; length = Math.min(bytes.length, length + 1 + random.below(40))) {
    const end = endOfHead(bytes.subarray(0, length), searched, bytes.length);
    if (end !== null || length >= bytes.length) return end;
    searched = length;
  }
}

test(
  "a request head of any bytes is read as a plain reader reads it, or refused, and leads to one request to the right place",
  () => {
    let accepted = 0;
    const cases = tryManyCases("request heads", (random) => {
      const text = randomHead(random);
      // The connection hands over what stands before the first empty line.
      const at = text.indexOf("\r\n\r\n");
      const whole = at < 0 ? text : text.slice(0, at + 2);
      const bytes = Buffer.from(`${whole}\r\n`, "latin1");
      const headersMax = random.below(4) === 0 ? random.below(4) : 200;
      const wanted = referenceHead(whole, headersMax);
      const head = parseRequestHead(bytes, 0, bytes.length - 2, headersMax);
      const got = "status" in head ? null : head;
      if (!Bun.deepEquals(got, wanted))
        throw new Error(
          `${JSON.stringify(whole)} gave ${JSON.stringify(head)}, not ${JSON.stringify(wanted)}`,
        );
      if (got === null) return;
      accepted++;
      const end = endInPieces(random, bytes);
      if (end !== bytes.length - 4)
        throw new Error(`${JSON.stringify(whole)} ends at ${JSON.stringify(end)}`);
      checkForwarded(got);
    });
    expect(accepted).toBeWithin(cases / 50, cases / 2);
  },
  MANY_CASES_TIMEOUT_MS,
);
