import { describe, expect, test } from "bun:test";

import { ResponseReader } from "../../src/llm/response-reader.ts";
import { SseReader } from "../../src/llm/sse.ts";
import { GOLDEN, learnt } from "../fixtures/streams/golden.ts";
import { readEvents, referenceEvents } from "../llm/sse-reference.ts";
import { MANY_CASES_TIMEOUT_MS, tryManyCases } from "../support/many-cases.ts";
import type { Random } from "../support/random.ts";

const encoder = new TextEncoder();

const PIECES = [
  "data",
  "data:",
  "data: ",
  "data: {}",
  "event",
  "event:",
  "event: x",
  "error: e",
  ":",
  ": c",
  "id: 1",
  "retry",
  "\n",
  "\n",
  "\n\n",
  "\r",
  "\r\n",
  "\r\n\r\n",
  "\uFEFF",
  "é🌍",
  "\u2028",
  "\0",
  " ",
  "x".repeat(40),
  "data: y\n\n",
].map((piece) => encoder.encode(piece));

/** A stream of pieces, some of them damaged. */
function streamOf(random: Random, piecesMax: number): Uint8Array {
  const bytes = Buffer.concat(Array.from({ length: 1 + random.below(piecesMax) }, () => random.pick(PIECES)));
  if (random.below(3) === 0) bytes[random.below(bytes.length)] = random.below(256);
  return bytes;
}

/** A text with bytes changed, removed, doubled or moved. */
function mutated(random: Random, bytes: Uint8Array): Uint8Array {
  let mutant = Buffer.from(bytes);
  for (let count = random.below(4); count > 0 && mutant.length > 0; count--) {
    const from = random.below(mutant.length);
    const to = from + random.below(Math.min(60, mutant.length - from));
    const front = mutant.subarray(0, from);
    switch (random.below(4)) {
      case 0:
        mutant[from] = random.below(256);
        break;
      case 1:
        mutant = Buffer.concat([front, mutant.subarray(to)]);
        break;
      case 2:
        mutant = Buffer.concat([mutant.subarray(0, to), mutant.subarray(from)]);
        break;
      default:
        mutant = Buffer.concat([front, random.pick(PIECES), mutant.subarray(from)]);
    }
  }
  return mutant;
}

/** The bytes in chunks of random sizes, empty ones among them. */
function chunksOf(random: Random, bytes: Uint8Array, sizeMax: number): Uint8Array[] {
  const chunks = [];
  for (let at = 0; at < bytes.length;) {
    const size = random.below(sizeMax + 1);
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

function compare(bytes: Uint8Array, chunks: readonly Uint8Array[], eventBytesMax: number): void {
  const found = readEvents(chunks, eventBytesMax);
  const wanted = referenceEvents(bytes, eventBytesMax);
  if (Bun.deepEquals(found, wanted)) return;
  const given = {
    text: Buffer.from(bytes).toString("latin1"),
    cuts: chunks.map((chunk) => chunk.length),
    eventBytesMax,
  };
  throw new Error(`${JSON.stringify(given)} gave ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
}

describe("streams made of rubbish", () => {
  test(
    "the reader gives the events that a plain parser gives, however they are cut",
    () => {
      tryManyCases("streams of events", (random) => {
        const bytes = streamOf(random, 12);
        const eventBytesMax = random.below(4) === 0 ? 1 + random.below(60) : 1_000_000;
        compare(bytes, chunksOf(random, bytes, 1 + random.below(random.pick([6, 80]))), eventBytesMax);
      });
    },
    MANY_CASES_TIMEOUT_MS,
  );

  test(
    "events beyond the tail that is kept read the same",
    () => {
      const cost = 1_000;
      tryManyCases(
        "long events",
        (random) => {
          const parts = Array.from({ length: 4 }, () => [
            streamOf(random, 6),
            encoder.encode(`data: ${"long ".repeat(random.below(12_000))}`),
            streamOf(random, 6),
          ]);
          const bytes = Buffer.concat(parts.flat());
          compare(bytes, chunksOf(random, bytes, 1 + random.below(40_000)), 1 + random.below(50_000));
        },
        cost,
      );
    },
    MANY_CASES_TIMEOUT_MS,
  );

  test(
    "a response says the same however it is cut, and never throws",
    () => {
      const texts = GOLDEN.map((golden) => encoder.encode(golden.text));
      tryManyCases("golden streams", (random) => {
        const which = random.below(GOLDEN.length);
        const { dialect, contentType } = GOLDEN[which]!;
        const bytes = mutated(random, texts[which]!);
        const isWhole = random.below(3) > 0;
        const read = (chunks: readonly Uint8Array[]): unknown => {
          const reader = new ResponseReader({ dialect, status: 200, contentType });
          for (const chunk of chunks) reader.feed(chunk);
          return { ...learnt(reader.facts, reader.end(isWhole)), failures: reader.facts.parseFailures };
        };
        const cut = read(chunksOf(random, bytes, 1 + random.below(400)));
        const whole = read([bytes]);
        if (Bun.deepEquals(cut, whole)) return;
        throw new Error(`${JSON.stringify({ which, cut, whole })}: ${Buffer.from(bytes).toString("latin1")}`);
      });
    },
    MANY_CASES_TIMEOUT_MS,
  );

  test("a stream without an end keeps its memory within bounds", () => {
    for (const piece of ["x", "data: x\n", ": x\n", "data: x\r\n\r\n:\n"]) {
      const reader = new SseReader({ onEvent() {} }, 256 * 1024);
      const chunk = encoder.encode(piece.repeat(Math.ceil(65_536 / piece.length)).slice(0, 65_537));
      reader.feed(encoder.encode("data: "));
      Bun.gc(true);
      const before = process.memoryUsage().rss;
      for (let fed = 0; fed < 800; fed++) reader.feed(chunk);
      expect(process.memoryUsage().rss - before).toBeLessThan(24 * 1024 * 1024);
    }
  });
});
