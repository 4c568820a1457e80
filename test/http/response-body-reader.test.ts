import { describe, expect, test } from "bun:test";

import { ResponseBodyReader } from "../../src/http/response-body-reader.ts";
import type { Framing } from "../../src/http/response-head.ts";
import { payloadOf } from "./response-reading.ts";

function read(reader: ResponseBodyReader, text: string): string {
  return payloadOf(reader, Buffer.from(text, "latin1"));
}

describe("a body of an announced length", () => {
  test("is complete with its last byte", () => {
    const reader = new ResponseBodyReader(5);
    expect([read(reader, "he"), reader.state]).toEqual(["he", "open"]);
    expect([read(reader, "llo"), reader.state]).toEqual(["llo", "complete"]);
    expect(reader.overrun).toBe(false);
    expect(reader.length).toBe(5);
  });

  test("ends there, whatever follows", () => {
    const reader = new ResponseBodyReader(5);
    expect(read(reader, "hello!")).toBe("hello");
    expect([reader.state, reader.overrun]).toEqual(["complete", true]);
    expect(read(reader, "more")).toBe("");
  });

  test("is not complete when the connection ends before", () => {
    const reader = new ResponseBodyReader(5);
    read(reader, "hell");
    reader.endInput();
    expect(reader.state).toBe("open");
  });
});

describe("a body in chunks", () => {
  test("is given in one piece for each read, without its framing", () => {
    const reader = new ResponseBodyReader("chunked");
    expect(read(reader, "3\r\nabc\r\n1;x\r\nd\r\n10\r\nefgh")).toBe("abcdefgh");
    expect(read(reader, "ijklmnop")).toBe("ijklmnop");
    expect(read(reader, "qrst\r\n0")).toBe("qrst");
    expect(read(reader, "\r\nX-T: 1\r\n")).toBe("");
    expect(reader.state).toBe("open");
    expect(read(reader, "\r\n")).toBe("");
    expect([reader.state, reader.overrun, reader.length]).toEqual(["complete", false, null]);
  });

  test("is in the memory that came, and leaves what lies behind its end alone", () => {
    const large = "x".repeat(2000);
    const bytes = Buffer.from(`7d0\r\n${large}\r\n3\r\ndef\r\n0\r\n\r\nHTTP/1.1`);
    const reader = new ResponseBodyReader("chunked");
    reader.read(bytes);
    expect(bytes.toString("latin1", reader.from, reader.to)).toBe(`${large}def`);
    expect(bytes.toString("latin1", bytes.length - 8)).toBe("HTTP/1.1");
    expect(reader.overrun).toBe(true);
  });

  test.each([
    ["5\r\nhello\r\n", true],
    ["F\r\nhello, world...\r\n", true],
    ["05\r\nhello\r\n", false],
    ["5;x=1\r\nhello\r\n", false],
    ["5\r\nhello\r", false],
    ["5\r\nhello", false],
    ["5\r\nhello\r\n1\r\n!\r\n", false],
    ["5\r\nhello\r\n0\r\n\r\n", false],
    ["5\r\nhello\r\n0", false],
    ["0\r\n\r\n", false],
    ["5\r\nhello\rx", false],
  ])("%j is one chunk as it would be written: %p", (text, isOneChunk) => {
    const reader = new ResponseBodyReader("chunked");
    reader.read(Buffer.from(text));
    expect(reader.isOneChunk).toBe(isOneChunk);
  });

  test("a chunk that began in the read before is not one", () => {
    for (const [first, second] of [
      ["5", "\r\nhello\r\n"],
      ["5\r\nhe", "llo\r\n"],
      ["5\r\nhello", "\r\n1\r\nx\r\n"],
    ] as const) {
      const reader = new ResponseBodyReader("chunked");
      reader.read(Buffer.from(first));
      reader.read(Buffer.from(second));
      expect(reader.isOneChunk).toBe(false);
    }
  });

  test("that is malformed gives what stands before the fault", () => {
    const reader = new ResponseBodyReader("chunked");
    expect(read(reader, "3\r\nabc\r\n2\r\nde\r\nx\r\nfg")).toBe("abcde");
    expect(reader.state).toBe("malformed");
  });

  test("is not complete when the connection ends before its last chunk", () => {
    const reader = new ResponseBodyReader("chunked");
    read(reader, "3\r\nabc\r\n");
    reader.endInput();
    expect(reader.state).toBe("open");
  });
});

test("a body without any end told ends with the connection", () => {
  const reader = new ResponseBodyReader("until-close");
  expect(read(reader, "abc")).toBe("abc");
  expect(reader.state).toBe("open");
  reader.endInput();
  expect(reader.state).toBe("complete");
});

test.each<[Framing]>([["none"], [0]])("a body of %p is complete from the start", (framing) => {
  const reader = new ResponseBodyReader(framing);
  expect(reader.state).toBe("complete");
  expect(read(reader, "")).toBe("");
  expect(reader.overrun).toBe(false);
  expect(read(reader, "x")).toBe("");
  expect(reader.overrun).toBe(true);
});

test("what comes behind the beginning of a size line is no whole chunk, however long it is", () => {
  const reader = new ResponseBodyReader("chunked");
  reader.read(Buffer.from('b;c="d', "latin1"));
  reader.read(Buffer.from('"\r\n{"ok":true}\r\n', "latin1"));
  expect([reader.from, reader.to, reader.isOneChunk]).toEqual([3, 14, false]);
  reader.read(Buffer.from('b\r\n{"ok":true}\r\n', "latin1"));
  expect([reader.from, reader.to, reader.isOneChunk]).toEqual([3, 14, true]);
});
