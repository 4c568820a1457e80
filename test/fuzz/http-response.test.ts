import { describe, expect, test } from "bun:test";

import { RESPONSE_BODY_CASES } from "../fixtures/cases/response-body-cases.ts";
import { RESPONSE_HEAD_CASES } from "../fixtures/cases/response-head-cases.ts";
import { everyByte, type InputEnd, readInPieces, type ReadResponse } from "../http/response-reading.ts";
import { MANY_CASES_TIMEOUT_MS, tryManyCases } from "../support/many-cases.ts";
import type { Random } from "../support/random.ts";
import { referenceVerdict, type Verdict } from "./http-response-reference.ts";

/** Long ones would take all the time. */
const GOLDEN = [...RESPONSE_HEAD_CASES, ...RESPONSE_BODY_CASES]
  .map(({ bytes }) => bytes)
  .filter((bytes) => bytes.length < 600);
const ENDS: readonly InputEnd[] = ["open", "fin", "reset"];

const NOISE = [
  "\r",
  "\n",
  "\r\n",
  "\r\n\r\n",
  " ",
  "\t",
  ":",
  ",",
  ";",
  "=",
  "0",
  "1",
  "9",
  "f",
  "\0",
  "\x7f",
  "\xff",
  "X",
  "0\r\n\r\n",
  "HTTP/1.1 200 OK\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "Content-Length: 5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: close\r\n",
  "chunked",
  "close",
];

/** A golden response with a few bytes changed, sometimes with another one behind it. */
function mutated(random: Random): string {
  const pick = <T>(list: readonly T[]) => list[random.below(list.length)]!;
  let text = pick(GOLDEN);
  if (random.below(8) === 0) text += pick(GOLDEN);
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const at = random.below(text.length + 1);
    const dropped = random.below(3) === 0 ? random.below(12) : 0;
    const put =
      random.below(4) === 0
        ? ""
        : random.below(3) === 0
          ? text.slice(at, at + random.below(30))
          : pick(NOISE);
    text = text.slice(0, at) + put + text.slice(at + dropped);
  }
  return random.below(8) === 0 ? text.slice(0, random.below(text.length + 1)) : text;
}

function cutsOf(random: Random, length: number): number[] {
  const cuts = Array.from({ length: random.below(5) }, () => random.below(length + 1));
  return cuts.sort((a, b) => a - b);
}

function verdictOf({ head, body, end, overrun }: ReadResponse): Verdict {
  return {
    end,
    status: head?.status ?? 0,
    headers: head?.headers ?? [],
    body: end === "complete" ? body : "",
    reusable: end === "complete" && head!.keepAlive && !overrun,
  };
}

/** Reads the text in one piece and in those that the cuts make; throws unless both are what the reference says. */
function compare(text: string, cuts: readonly number[], end: InputEnd, isHead: boolean): void {
  const whole = readInPieces(text, [], end, isHead);
  const pieces = readInPieces(text, cuts, end, isHead);
  // A body in doubt gives the same bytes too, however it is cut.
  expect({ ...pieces, overrun: false }).toEqual({ ...whole, overrun: false });
  const wanted = referenceVerdict(text, end, isHead);
  expect(verdictOf(whole)).toEqual(wanted);
  expect(verdictOf(pieces)).toEqual(wanted);
}

describe("the reader of responses", () => {
  test("agrees with a slow and obvious one on every golden response and every cut of it", () => {
    for (const text of GOLDEN) {
      for (const end of ENDS) compare(text, everyByte(text), end, false);
      for (let at = 1; at < text.length; at++) compare(text, [at], "fin", at % 4 === 0);
    }
  }, 60_000);

  test(
    "agrees with it on mutations of them",
    () => {
      tryManyCases("responses", (random) => {
        const text = mutated(random);
        const cuts = random.below(20) === 0 ? everyByte(text) : cutsOf(random, text.length);
        const end = random.pick(ENDS);
        const isHead = random.below(10) === 0;
        try {
          compare(text, cuts, end, isHead);
        } catch (cause) {
          throw new Error(JSON.stringify({ text, cuts, end, isHead }), { cause });
        }
      });
    },
    MANY_CASES_TIMEOUT_MS,
  );
});
