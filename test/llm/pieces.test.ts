import { describe, expect, test } from "bun:test";

import { BodyKeeper, WHOLE_BYTES_MAX } from "../../src/llm/body-keeper.ts";
import { ElementReader } from "../../src/llm/elements.ts";
import type { EventSink } from "../../src/llm/event-sink.ts";
import { LineReader } from "../../src/llm/lines.ts";

const encoder = new TextEncoder();
const TAIL_BYTES = 16 * 1024;

/** What must not be read. */
const AROUND = encoder.encode('\n{"not":"of the stream"}\n{');

type Reader = new (
  sink: EventSink,
  bytesMax: number,
) => { feed(chunk: Uint8Array, from: number, to: number): void; end(): void };

/** Pieces as text, an oversized one as its last bytes behind a mark. */
function piecesOf(Kind: Reader, text: string, size: number, bytesMax: number): string[] {
  const pieces: string[] = [];
  const onEvent: EventSink["onEvent"] = (_name, bytes, start, end, oversized) => {
    pieces.push((oversized ? "+" : "") + Buffer.from(bytes.subarray(start, end)).toString());
  };
  const reader = new Kind({ onEvent }, bytesMax);
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    const memory = Buffer.concat([AROUND, piece, AROUND]);
    reader.feed(memory, AROUND.length, AROUND.length + piece.length);
    memory.fill(0x58);
  }
  reader.end();
  return pieces;
}

const asGiven = (piece: string, bytesMax: number): string =>
  piece.length > bytesMax ? `+${piece.slice(-TAIL_BYTES)}` : piece;

const SIZES = [1, 2, 3, 7, 100, 1000, 4096, 16_384, 20_000, 50_000, 1_000_000];
const LENGTHS = [5, 100, 16_383, 16_384, 16_385, 20_000, 29_999, 30_000, 30_001, 32_769, 50_000, 100_000, 6];

describe("LineReader", () => {
  test("gives lines of any length however they are cut, of oversized ones the tail", () => {
    const lines = LENGTHS.map((length, at) => `{"${at}":"${"ab".repeat(length / 2)}"}`);
    for (const size of SIZES) {
      const found = piecesOf(LineReader, lines.join("\n"), size, 30_000);
      expect(found).toEqual(lines.map((line) => asGiven(line, 30_000)));
    }
  });
});

describe("ElementReader", () => {
  test("gives the objects of an array of any length however they are cut, of oversized ones the tail", () => {
    const objects = LENGTHS.map(
      (length, at) => `{"${at}":["${"a}".repeat(length / 2)}",{"\\"}":[]},"\\\\"]}`,
    );
    for (const size of SIZES) {
      const found = piecesOf(ElementReader, `[ ${objects.join(" ,\r\n")} ]`, size, 30_000);
      expect(found).toEqual(objects.map((object) => asGiven(object, 30_000)));
    }
  });

  test("gives no object that has not ended", () => {
    expect(piecesOf(ElementReader, '[{"a":1},{"b":[', 4, 100)).toEqual(['{"a":1}']);
    expect(piecesOf(ElementReader, "]}]}[]", 1, 100)).toEqual([]);
  });
});

describe("BodyKeeper", () => {
  test("keeps a small body whole and of a large one both ends, in chunks of any size", () => {
    for (const length of [0, 1, 1000, WHOLE_BYTES_MAX, WHOLE_BYTES_MAX + 1, 300_000]) {
      const bytes = Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 8)) & 255);
      for (const size of [997, 16_000, 70_000, 140_000, 400_000]) {
        const keeper = new BodyKeeper();
        for (let at = 0; at < length; at += size) keeper.add(bytes.subarray(at, at + size));
        const whole = keeper.whole();
        expect(whole === null).toBe(length > WHOLE_BYTES_MAX);
        if (whole !== null) {
          expect(Buffer.compare(whole, bytes)).toBe(0);
          continue;
        }
        const { head, tail } = keeper.ends();
        expect(Buffer.compare(head, bytes.subarray(0, 16 * 1024))).toBe(0);
        expect(Buffer.compare(tail, bytes.subarray(-64 * 1024))).toBe(0);
      }
    }
  });
});
