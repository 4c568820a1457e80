import { describe, expect, test } from "bun:test";

import { OVERSIZED_TAIL_BYTES } from "../../src/llm/sse.ts";
import { type PlainEvent, readEvents } from "./sse-reference.ts";

const encoder = new TextEncoder();

/** Events of a text, read whole and byte by byte, which must agree. */
function eventsOf(text: string, eventBytesMax?: number): PlainEvent[] {
  const bytes = encoder.encode(text);
  const whole = readEvents([bytes], eventBytesMax);
  const single = readEvents(
    Array.from(bytes, (byte) => Uint8Array.of(byte)),
    eventBytesMax,
  );
  expect(single).toEqual(whole);
  return whole;
}

const dataOf = (text: string): string[] => eventsOf(text).map((event) => event.data);

describe("SseReader", () => {
  test("gives data and name of every event", () => {
    expect(eventsOf("event: a\ndata: 1\n\ndata: 2\n\n")).toEqual([
      { name: "a", data: "1", oversized: false },
      { name: "", data: "2", oversized: false },
    ]);
  });

  test("takes LF, CRLF, CR and mixtures for line ends, and nothing else", () => {
    expect(dataOf("data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\n\r\ndata: e\r\n\n")).toEqual([
      "a",
      "b",
      "c",
      "d",
      "e",
    ]);
    const separators = "\u2028\u2029\u0085\v\f";
    expect(dataOf(`data: a${separators}b\n\n`)).toEqual([Buffer.from(`a${separators}b`).toString("latin1")]);
  });

  test("takes the blank after the colon off, one only, and needs none", () => {
    expect(dataOf("data:a\n\ndata: b\n\ndata:  c \n\ndata:\td\n\n")).toEqual(["a", "b", " c ", "\td"]);
  });

  test("joins several data lines with LF", () => {
    expect(dataOf("data: a\r\ndata\r\nid: 1\r\ndata:c\r\n\r\n")).toEqual(["a\n\nc"]);
  });

  test("skips comments, unknown fields, and events without data", () => {
    expect(dataOf(": ping\n\nid: 7\n\nevent: x\n\nretry: 5\ndatum: no\ndata : no\ndata: yes\n:\n\n")).toEqual(
      ["yes"],
    );
    expect(eventsOf("event: x\n\ndata: y\n\n")[0]!.name).toBe("");
  });

  test("gives an event with empty data, and one without its blank line at the end", () => {
    expect(dataOf("data\n\ndata:\n\ndata: last")).toEqual(["", "", "last"]);
    expect(dataOf("data: last\r")).toEqual(["last"]);
    expect(dataOf("")).toEqual([]);
  });

  test("strips one byte order mark at the start, and only there", () => {
    expect(dataOf("\uFEFFdata: a\n\n\uFEFFdata: b\n\ndata: c\n\n")).toEqual(["a", "c"]);
    expect(readEvents([Uint8Array.of(0xef, 0xbb), encoder.encode("data: a\n\ndata: b\n\n")])).toHaveLength(1);
  });

  test("keeps the last of several names and cuts long ones", () => {
    expect(
      eventsOf(`event: a\nevent: b\ndata: 1\n\nevent: ${"n".repeat(100)}\ndata: 2\n\n`).map(
        (event) => event.name,
      ),
    ).toEqual(["b", "n".repeat(64)]);
  });

  test("reads an `error:` field as an error event", () => {
    expect(eventsOf('error: {"code":500}\n\ndata: x\n\n')).toEqual([
      { name: "error", data: '{"code":500}', oversized: false },
      { name: "", data: "x", oversized: false },
    ]);
  });
});

describe("an event over the bound", () => {
  test("is skipped, its tail given, and the next one read", () => {
    const long = "x".repeat(100);
    expect(eventsOf(`data: a\n\nevent: big\ndata: ${long}\n\ndata: b\n\n`, 64)).toEqual([
      { name: "", data: "a", oversized: false },
      { name: "big", data: `event: big\ndata: ${long}\n`, oversized: true },
      { name: "", data: "b", oversized: false },
    ]);
  });

  test("is one whose lines are so long together, comments before them not counted", () => {
    const lines = "data: 0123456789\n".repeat(5);
    expect(eventsOf(`${lines}\ndata: b\n\n`, 64).map((event) => event.oversized)).toEqual([true, false]);
    expect(eventsOf(`${":0123456789\n".repeat(50)}data: b\n\n`, 64).map((event) => event.data)).toEqual([
      "b",
    ]);
  });

  test("of megabytes gives the same however it is cut", () => {
    const big = `data: ${"0123456789abcdef".repeat(100_000)}`;
    const bytes = encoder.encode(`data: a\r\n\r\n${big}\r\n\r\ndata: b\r\n\r\n`);
    for (const size of [1000, 4096, 65_536, 1_000_000, bytes.length]) {
      const chunks = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      expect(readEvents(chunks, 300_000)).toEqual([
        { name: "", data: "a", oversized: false },
        { name: "", data: `${big}\r\n`.slice(-OVERSIZED_TAIL_BYTES), oversized: true },
        { name: "", data: "b", oversized: false },
      ]);
      expect(readEvents(chunks, 2_000_000)[1]).toEqual({ name: "", data: big.slice(6), oversized: false });
    }
  });
});
