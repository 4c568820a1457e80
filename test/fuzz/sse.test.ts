import { describe, expect, test } from "bun:test";

import { ResponseReader } from "../../src/llm/response-reader.ts";
import { SseReader } from "../../src/llm/sse.ts";
import { GOLDEN, learnt } from "../fixtures/streams/golden.ts";
import { readEvents, referenceEvents } from "../llm/sse-reference.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 31);
const encoder = new TextEncoder();

/** Mulberry32: numbers from 0 up to, not including, 1; the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

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

class Fuzz {
  readonly random: () => number;

  constructor(seed: number) {
    this.random = randomOf(seed);
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  /** A stream of pieces, some of them damaged. */
  stream(piecesMax: number): Uint8Array {
    const parts = Array.from({ length: 1 + this.below(piecesMax) }, () => PIECES[this.below(PIECES.length)]!);
    const bytes = Buffer.concat(parts);
    if (this.random() < 0.3) bytes[this.below(bytes.length)] = this.below(256);
    return bytes;
  }

  /** A text with bytes changed, removed, doubled or moved. */
  mutate(bytes: Uint8Array): Uint8Array {
    let mutant = Buffer.from(bytes);
    for (let count = this.below(4); count > 0; count--) {
      const from = this.below(mutant.length);
      const to = from + this.below(Math.min(60, mutant.length - from));
      const kind = this.below(4);
      if (kind === 0) mutant[from] = this.below(256);
      else if (kind === 1) mutant = Buffer.concat([mutant.subarray(0, from), mutant.subarray(to)]);
      else if (kind === 2) mutant = Buffer.concat([mutant.subarray(0, to), mutant.subarray(from)]);
      else
        mutant = Buffer.concat([
          mutant.subarray(0, from),
          PIECES[this.below(PIECES.length)]!,
          mutant.subarray(from),
        ]);
      if (mutant.length === 0) return mutant;
    }
    return mutant;
  }

  /** The bytes in chunks of random sizes, empty ones among them. */
  chunks(bytes: Uint8Array, sizeMax: number): Uint8Array[] {
    const chunks = [];
    for (let at = 0; at < bytes.length;) {
      const size = this.below(sizeMax + 1);
      chunks.push(bytes.subarray(at, at + size));
      at += size;
    }
    return chunks;
  }
}

describe(`streams made of rubbish (FUZZ_SEED=${SEED})`, () => {
  test("the reader gives the events that a plain parser gives", () => {
    const fuzz = new Fuzz(SEED);
    for (let round = 0; round < 200_000; round++) {
      const bytes = fuzz.stream(12);
      const eventBytesMax = round % 4 === 0 ? 1 + fuzz.below(60) : 1_000_000;
      const chunks = fuzz.chunks(bytes, 1 + fuzz.below(round % 2 === 0 ? 6 : 80));
      const found = readEvents(chunks, eventBytesMax);
      const wanted = referenceEvents(bytes, eventBytesMax);
      // Bun.deepEquals is quick; expect explains.
      if (Bun.deepEquals(found, wanted)) continue;
      const context = {
        seed: SEED,
        round,
        text: bytes.toString(),
        cuts: chunks.map((chunk) => chunk.length),
      };
      expect({ ...context, events: found }).toEqual({ ...context, events: wanted });
    }
  }, 30_000);

  test("events beyond the tail that is kept read the same", () => {
    const fuzz = new Fuzz(SEED + 1);
    for (let round = 0; round < 150; round++) {
      const parts = Array.from({ length: 4 }, () => [
        fuzz.stream(6),
        encoder.encode(`data: ${"long ".repeat(fuzz.below(12_000))}`),
        fuzz.stream(6),
      ]);
      const bytes = Buffer.concat(parts.flat());
      const eventBytesMax = 1 + fuzz.below(50_000);
      const chunks = fuzz.chunks(bytes, 1 + fuzz.below(40_000));
      const isSame = Bun.deepEquals(readEvents(chunks, eventBytesMax), referenceEvents(bytes, eventBytesMax));
      expect({ seed: SEED, round, isSame }).toEqual({ seed: SEED, round, isSame: true });
    }
  }, 30_000);

  test("a response says the same however it is cut, and never throws", () => {
    const fuzz = new Fuzz(SEED + 2);
    const texts = GOLDEN.map((golden) => encoder.encode(golden.text));
    for (let round = 0; round < 10_000; round++) {
      const golden = GOLDEN[round % GOLDEN.length]!;
      const bytes = fuzz.mutate(texts[round % GOLDEN.length]!);
      const read = (chunks: readonly Uint8Array[]): unknown => {
        const { dialect, contentType } = golden;
        const reader = new ResponseReader({ dialect, status: 200, contentType });
        for (const chunk of chunks) reader.feed(chunk);
        return { ...learnt(reader.facts, reader.end(round % 3 !== 0)), failures: reader.facts.parseFailures };
      };
      const cut = read(fuzz.chunks(bytes, 1 + fuzz.below(400)));
      const whole = read([bytes]);
      if (Bun.deepEquals(cut, whole)) continue;
      expect({ seed: SEED, round, cut }).toEqual({ seed: SEED, round, cut: whole });
    }
  }, 30_000);

  test("a stream without an end keeps its memory within bounds", () => {
    for (const piece of ["x", "data: x\n", ": x\n", "data: x\r\n\r\n:\n"]) {
      const reader = new SseReader(() => {}, 256 * 1024);
      const chunk = encoder.encode(piece.repeat(Math.ceil(65_536 / piece.length)).slice(0, 65_537));
      reader.feed(encoder.encode("data: "));
      Bun.gc(true);
      const before = process.memoryUsage().rss;
      for (let fed = 0; fed < 800; fed++) reader.feed(chunk);
      expect(process.memoryUsage().rss - before).toBeLessThan(24 * 1024 * 1024);
    }
  });
});
