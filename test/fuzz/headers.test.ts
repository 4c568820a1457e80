import { expect, test } from "bun:test";

import type { HeaderOperation, UpstreamPlan } from "../../src/config/plan.ts";
import { headerKeyRule, headerValueRule } from "../../src/config/rules.ts";
import type { HeaderList } from "../../src/http/exchange.ts";
import { packet } from "../../src/http/packet.ts";
import { packResponseHead } from "../../src/http/response-head.ts";
import { clientHeaders, upstreamHeaders } from "../../src/proxy/headers.ts";
import { packRequestHead } from "../../src/proxy/transport/request-head.ts";
import { upstreamPlan } from "../proxy/plans.ts";
import { MANY_CASES_TIMEOUT_MS, tryManyCases } from "../support/many-cases.ts";
import type { Random } from "../support/random.ts";

type Field = readonly [name: string, value: string];

const HOP_BY_HOP = [
  "Connection",
  "Content-Length",
  "Keep-Alive",
  "Proxy-Authenticate",
  "Proxy-Authorization",
  "Proxy-X",
  "TE",
  "Trailer",
  "Transfer-Encoding",
  "Upgrade",
];
const OTHERS = [
  "Expect",
  "Host",
  "User-Agent",
  "Authorization",
  "X-Api-Key",
  "X-Request-Id",
  "Accept-Encoding",
  "X-Accel-Buffering",
  "X-Forwarded-For",
  "X-A",
  "X-B",
  "Cookie",
  "Set-Cookie",
  "Proxy",
  "T",
];
const NAMES = [...HOP_BY_HOP, ...OTHERS];
const VALUES = ["", "a", "b c", "close", "keep-alive", "x-a", "0", "chunked", "\xe9\xff", "a\tb"];
/** Of these no one may leave: they end a line, or are no bytes. */
const HARMFUL = [
  "a\r\nX-Evil: 1",
  "a\nX-Evil: 1",
  "a\rX-Evil: 1",
  "\0",
  "a\x7f",
  "\u010d\u010a",
  "\u{1f30d}",
];
const HARMFUL_NAMES = ["", "X-\xe9", "Content-Length ", " X-A", "X-A\r\nX-B", "X:A", "Transfer-Encoding\t"];
const OPTIONS = [
  "x-a",
  "X-B",
  "authorization",
  "cookie",
  "host",
  "te",
  "close",
  "",
  "x a",
  "\xa0x-a",
  "x-request-id",
];
const AGENT = "Agent/1";
const ID = "id-1";
const HOST = "upstream.test";

function spelled(random: Random, name: string): string {
  const spellings = [name, name.toLowerCase(), name.toUpperCase()];
  return random.pick(spellings);
}

function randomFields(random: Random, harmful: boolean): HeaderList {
  const list: HeaderList = [];
  for (let count = random.below(9); count > 0; count--) {
    const name = random.pick(NAMES);
    let value = random.pick(VALUES);
    if (name === "Connection")
      value = Array.from({ length: 1 + random.below(3) }, () => random.pick(OPTIONS)).join(
        random.pick([",", " , ", "\t,"]),
      );
    if (harmful && random.below(3) === 0) value = random.pick(HARMFUL);
    list.push(harmful && random.below(9) === 0 ? random.pick(HARMFUL_NAMES) : spelled(random, name), value);
  }
  return list;
}

/** Operations as a configuration may hold them: what its rules refuse is not there. */
function randomOperations(random: Random): HeaderOperation[] {
  const operations: HeaderOperation[] = [];
  for (let count = random.below(5); count > 0; count--) {
    const key = spelled(random, random.pick(NAMES));
    const value = random.pick([...VALUES, ...HARMFUL]);
    if (headerKeyRule(key) !== null || headerValueRule(value) !== null || /[^\x00-\xff]/.test(value))
      continue;
    const op = random.pick(["insert", "replace", "remove"] as const);
    if (key.toLowerCase() === "host" && op !== "replace") continue;
    operations.push(op === "remove" ? { op, key } : { op, key, value });
  }
  return operations;
}

const pairs = (list: HeaderList): Field[] =>
  Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i]!, list[2 * i + 1]!] as const);
const is = (name: string) => (field: Field) => field[0].toLowerCase() === name.toLowerCase();
const without = (fields: readonly Field[], name: string) => fields.filter((field) => !is(name)(field));

/** The fields that concern more than this connection: the slow and obvious way. */
function passing(list: HeaderList, alsoDropped: readonly string[]): Field[] {
  const fields = pairs(list);
  const options = fields.filter(is("connection")).flatMap(([, value]) => value.split(","));
  const dropped = [
    ...HOP_BY_HOP,
    ...alsoDropped,
    ...options.map((option) => option.replace(/^[ \t]+|[ \t]+$/g, "")),
  ];
  return dropped.reduce<Field[]>(without, fields).filter(([name]) => !/^proxy-/i.test(name));
}

/** What the specification says of a request's fields, sentence by sentence. */
function slowUpstreamHeaders(client: HeaderList, upstream: UpstreamPlan, forwarded: HeaderList): Field[] {
  let fields = passing(client, ["Expect", "Host", "User-Agent"]);
  for (const field of pairs(forwarded)) fields = [...without(fields, field[0]), field];
  fields = [...fields, ["User-Agent", AGENT]];
  if (!fields.some(is("x-request-id"))) fields = [...fields, ["x-request-id", ID]];
  for (const operation of upstream.headers) {
    const { op, key } = operation;
    if (op === "insert" && fields.some(is(key))) continue;
    if (op !== "insert") fields = without(fields, key);
    if (op !== "remove") fields = [...fields, [key, operation.value]];
  }
  if (upstream.authorization === null) return fields;
  return [...without(fields, "authorization"), ["Authorization", upstream.authorization]];
}

function expectSame(got: unknown, wanted: unknown, given: unknown): void {
  if (Bun.deepEquals(got, wanted)) return;
  throw new Error(`${JSON.stringify(given)} gave ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
}

const isHarmful = ([name, value]: Field) =>
  !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value);

/** The lines of a head, read with nothing but its line ends. Null when it does not end with an empty one. */
const linesOf = (head: string) => (head.endsWith("\r\n\r\n") ? head.slice(0, -4).split(/\r\n|\r|\n/) : null);

test(
  "a request's fields are those that the specification names, and each goes out as a line of its own or not at all",
  () => {
    let refused = 0;
    const cases = tryManyCases("fields for upstreams", (random) => {
      const harmful = random.below(8) === 0;
      const client = randomFields(random, harmful);
      const headers = randomOperations(random);
      const authorization = random.below(3) === 0 ? "Bearer upstream" : null;
      const upstream = upstreamPlan({ headers, authorization });
      const forwarded = random.below(4) === 0 ? ["X-Forwarded-For", random.pick(VALUES)] : [];
      const given = { client, headers, authorization, forwarded };
      const before = JSON.stringify(given);

      const fields = upstreamHeaders(client, upstream, AGENT, ID, forwarded);
      const wanted = slowUpstreamHeaders(client, upstream, forwarded);
      expectSame(pairs(fields), wanted, given);
      // Several attempts are made of the same client's fields.
      expectSame(JSON.stringify(given), before, "what was given");

      const body = random.below(2) === 0 ? Buffer.from("body") : null;
      const request = { method: "GET", origin: `http://${HOST}`, target: "/v1", headers: fields, body };
      const end = packRequestHead(request, HOST, true);
      const head = end < 0 ? null : packet.bytes.toString("latin1", 0, end);
      expectSame(head === null, wanted.some(isHarmful), given);
      if (head === null) {
        refused++;
        return;
      }
      const host = wanted.some(is("host")) ? [] : [`Host: ${HOST}`];
      const framing = body === null ? [] : ["Content-Length: 4"];
      const lines = wanted.map(([name, value]) => `${name}: ${value}`);
      expectSame(linesOf(head), ["GET /v1 HTTP/1.1", ...host, ...lines, ...framing], given);
    });
    expect(refused).toBeWithin(cases / 200, cases / 2);
  },
  MANY_CASES_TIMEOUT_MS,
);

test(
  "an answer's fields lose what concerns the connection, and each goes out as a line of its own or none does",
  () => {
    tryManyCases("fields for clients", (random) => {
      const upstream = randomFields(random, random.below(8) === 0);
      const isEventStream = random.below(2) === 0;
      const headers = clientHeaders(upstream, ID, isEventStream);
      const wanted = passing(upstream, []);
      if (!wanted.some(is("x-request-id"))) wanted.push(["x-request-id", ID]);
      if (isEventStream && !wanted.some(is("x-accel-buffering"))) wanted.push(["x-accel-buffering", "no"]);
      expectSame(pairs(headers), wanted, upstream);
      let head: string;
      try {
        const end = packResponseHead(200, headers, "chunked", true);
        head = packet.bytes.toString("latin1", 0, end);
      } catch {
        // A reader of responses lets none of these in; this is the last moment to be sure.
        if (!wanted.some(isHarmful)) throw new Error(`refused: ${JSON.stringify(upstream)}`);
        return;
      }
      const lines = wanted.map(([name, value]) => `${name}: ${value}`);
      expectSame(linesOf(head), ["HTTP/1.1 200 OK", ...lines, "Transfer-Encoding: chunked"], upstream);
    });
  },
  MANY_CASES_TIMEOUT_MS,
);
