import { describe, expect, test } from "bun:test";

import { ResponseReader, type Verdict } from "../../src/llm/response-reader.ts";
import {
  endOf,
  expected,
  firstEvents,
  GOLDEN,
  type Golden,
  GOLDEN_EVENTS,
  learnt,
} from "../fixtures/streams/golden.ts";

const encoder = new TextEncoder();

/** Ways to end one line, and two. A CR before a LF would be one end, not two. */
const MIXED = [
  ["\n", "\r\n", "\r", "\r\n", "\n"],
  ["\n\r", "\r\n\r\n", "\r\r", "\r\n\n", "\r\r\n"],
] as const;

function readerOf(golden: Golden): ResponseReader {
  return new ResponseReader({
    dialect: golden.dialect,
    status: 200,
    contentType: golden.contentType,
  });
}

/** Reads the bytes in the pieces that the cuts make. */
function read(golden: Golden, bytes: Uint8Array, cuts: readonly number[]): ReturnType<typeof learnt> {
  const reader = readerOf(golden);
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    // A copy of its own, so that reading beyond a chunk would be noticed.
    reader.feed(bytes.slice(at, cut));
    at = cut;
  }
  return learnt(reader.facts, reader.end(true));
}

function verdictOfPrefix(golden: Golden, bytes: Uint8Array, clean: boolean): Verdict {
  const reader = readerOf(golden);
  reader.feed(bytes);
  return reader.end(clean);
}

const everyByte = (bytes: Uint8Array): number[] => Array.from(bytes, (_, at) => at);

describe("golden responses", () => {
  for (const golden of GOLDEN) {
    const bytes = encoder.encode(golden.text);

    test(`${golden.file} says what it says`, () => {
      expect(read(golden, bytes, [])).toEqual(expected(golden));
    });

    test(`${golden.file} says the same cut at any byte, and byte by byte`, () => {
      for (let cut = 1; cut < bytes.length; cut++)
        expect(read(golden, bytes, [cut])).toEqual(expected(golden));
      expect(read(golden, bytes, everyByte(bytes))).toEqual(expected(golden));
    });
  }

  for (const golden of GOLDEN_EVENTS) {
    test(`${golden.file} says the same with other line ends, a byte order mark, comments and pings`, () => {
      const variants = {
        crlf: golden.text.replaceAll("\n", "\r\n"),
        cr: golden.text.replaceAll("\n", "\r"),
        mixed: golden.text.replace(/\n\n?/g, (ends, at: number) => MIXED[ends.length - 1]![at % 5]!),
        mark: `\uFEFF${golden.text}`,
        tight: golden.text.replace(/^(data|event): /gm, "$1:"),
        comments: `:\n\n: first\n${golden.text.replaceAll("\n\n", "\n\n: keep-alive\n\n:\n")}`,
        pings: golden.text.replaceAll("\n\n", '\n\nevent: ping\ndata: {"type":"ping"}\n\n'),
        ids: golden.text.replaceAll("data:", "id: 7\nretry: 1000\ndata:"),
        manyLines: golden.text.replace(/^data: \{(.*)\}$/gm, "data: {\ndata: $1\ndata:}"),
        unfinished: golden.text.replace(/\n+$/, ""),
      };
      for (const [name, text] of Object.entries(variants)) {
        const variant = encoder.encode(text);
        const said = { name, ...read(golden, variant, []) };
        expect(said).toEqual({ name, ...expected(golden) });
        expect({ name, ...read(golden, variant, everyByte(variant)) }).toEqual(said);
      }
    });
  }
});

describe("truncated responses", () => {
  for (const golden of GOLDEN) {
    if (!golden.contentType.startsWith("application/json")) {
      test(`${golden.file} cut after any event is told from the whole`, () => {
        for (let count = 0; count <= golden.endsAfter; count++) {
          const bytes = encoder.encode(firstEvents(golden, count));
          const lost = count >= golden.endsAfter ? golden.verdict : "truncated";
          expect({ count, verdict: verdictOfPrefix(golden, bytes, false) }).toEqual({ count, verdict: lost });
          const ended = count >= golden.maySufficeAfter ? golden.verdict : "truncated";
          expect({ count, verdict: verdictOfPrefix(golden, bytes, true) }).toEqual({ count, verdict: ended });
        }
      });
    }

    test(`${golden.file} is never complete when the connection broke before its end`, () => {
      const isEvents = !golden.contentType.startsWith("application/json");
      const end = endOf(golden);
      const bytes = encoder.encode(golden.text);
      for (let cut = 0; cut <= bytes.length; cut++) {
        const verdict = verdictOfPrefix(golden, bytes.slice(0, cut), false);
        if (cut >= end) expect({ cut, verdict }).toEqual({ cut, verdict: golden.verdict });
        // Before the first byte a JSON answer says nothing; an error event counts with its name.
        else if (cut > 0 || isEvents) expect(["truncated", "error"]).toContain(verdict);
      }
    });
  }
});
