import { describe, expect, test } from "bun:test";

import type { HeaderList } from "../../src/http/exchange.ts";
import { parseRequestHead, type RequestHead } from "../../src/http/request-head.ts";
import { responseHead } from "../../src/http/response-head.ts";
import { clientHeaders, upstreamHeaders } from "../../src/proxy/headers.ts";
import { upstreamTarget } from "../../src/proxy/target.ts";
import { Random } from "../support/random.ts";
import { upstreamPlan } from "./plans.ts";

const METHODS = ["GET", "POST", "get", "DELETE", "CONNECT", "P\0ST", "G ET", "TRACE", ""];
const TARGETS = [
  ..."/ /v1/models /v1/chat?x=1 //evil.test/v1 /../x /a/%2e%2e/b /a/.%2e;/b http://evil.test/v1 * evil.test:443 @evil.test".split(
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

/** Reads the head line by line, with nothing but what RFC 9112 says of where a message ends. */
function slowLength(text: string): number {
  const values = (name: string) =>
    text
      .split("\r\n")
      .slice(1)
      .filter((line) => line.toLowerCase().startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trim());
  const [length] = values("content-length");
  if (values("transfer-encoding").length > 0) return -1;
  return length === undefined ? 0 : Number(length);
}

function checkAccepted(text: string, head: RequestHead): void {
  const fail = (what: string): never => {
    throw new Error(`${what}: ${JSON.stringify(text)} gave ${JSON.stringify(head)}`);
  };
  if (/\n(?!$)/.test(text.replaceAll("\r\n", "")) || /\r(?!\n)/.test(text)) fail("a bare line end passed");
  const framings = text.match(/^(?:content-length|transfer-encoding)[ \t]*:/gim) ?? [];
  if (framings.length > 1) fail("two framings passed");
  if (head.contentLength !== slowLength(text)) fail("another length");
  const headers = upstreamHeaders(head.headers, BASE, "agent", "id");
  checkFields(headers, fail);
  const target = upstreamTarget(BASE, head.target);
  if (!/^\/tenant\/v1(?:\/|$)[\x21-\x7e]*$/.test(target) && !/^\/tenant\/v1\?[\x21-\x7e]*$/.test(target))
    fail(`it asks for ${target}`);
  const url = new URL(BASE.origin + target);
  if (url.origin !== BASE.origin || !/^\/tenant\/v1(?:\/|$)/.test(url.pathname))
    fail(`it leads to ${url.href}`);
}

function checkFields(headers: HeaderList, fail: (what: string) => never): void {
  for (const [at, part] of headers.entries()) {
    if (/[\r\n\0]/.test(part)) fail("a line end leaves");
    if (at % 2 === 1) continue;
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(part)) fail(`a field is named ${part}`);
    if (/^(?:host|content[-_]length|transfer[-_]encoding|connection|upgrade|expect)$/i.test(part))
      fail(`the field ${part} passed`);
  }
}

describe("a request head of any bytes", () => {
  test("is refused, or leads to one request to the right place that ends where it says", async () => {
    const random = new Random();
    await random.run(async () => {
      let accepted = 0;
      const rounds = 150_000;
      for (let round = 0; round < rounds; round++) {
        const text = randomHead(random);
        // The connection hands over what stands before the first empty line.
        const end = text.indexOf("\r\n\r\n");
        const whole = end < 0 ? text : text.slice(0, end + 2);
        const head = parseRequestHead(Buffer.from(whole, "latin1"));
        if ("status" in head) continue;
        accepted++;
        checkAccepted(whole, head);
      }
      expect(accepted).toBeGreaterThan(rounds / 50);
      expect(accepted).toBeLessThan(rounds / 2);
    });
  }, 60_000);
});

describe("response fields of any bytes", () => {
  test("make a head of just that many lines, or none", async () => {
    const random = new Random();
    await random.run(async () => {
      const pick = (list: readonly string[]) => list[random.below(list.length)]!;
      let written = 0;
      for (let round = 0; round < 50_000; round++) {
        const fields: HeaderList = [];
        for (let count = random.below(5); count > 0; count--) {
          const [name, ...value] = pick(LINES).split(":");
          fields.push(name!, value.join(":") + (random.below(3) === 0 ? pick(NOISE) : ""));
        }
        const headers = clientHeaders(fields, "id", random.below(2) === 0);
        let head: string;
        try {
          head = responseHead(200, headers, "chunked", true);
        } catch {
          continue;
        }
        written++;
        const lines = head.split(/\r\n|\r|\n/);
        if (!head.endsWith("\r\n\r\n") || lines.length !== 2 + headers.length / 2 + 2)
          throw new Error(`${JSON.stringify(fields)} gave ${JSON.stringify(head)}`);
        const framings = lines.filter((line) => /^(?:content-length|transfer-encoding)[ \t]*:/i.test(line));
        if (framings.length !== 1) throw new Error(`${framings.length} framings in ${JSON.stringify(head)}`);
      }
      expect(written).toBeGreaterThan(10_000);
    });
  }, 60_000);
});
