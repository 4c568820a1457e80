import { describe, expect, test } from "bun:test";

import { ChunkedDecoder } from "../../src/http/chunked.ts";
import { Random } from "../support/random.ts";
import { randomChunkedBody, readChunkedBody, type Reading } from "./chunked-reference.ts";

/** Reads a piece; gives the position after what was used and the payload in it. */
type Read = (decoder: ChunkedDecoder, piece: Buffer) => { end: number; payload: string };

const byViews: Read = (decoder, piece) => {
  let payload = "";
  const end = decoder.decode(piece, 0, (view) => {
    payload += Buffer.from(view).toString("latin1");
  });
  return { end, payload };
};

const inPlace: Read = (decoder, piece) => {
  const before = Buffer.from(piece);
  const end = decoder.compact(piece, 0);
  const payload = piece.toString("latin1", decoder.payloadFrom, decoder.payloadTo);
  if (decoder.done && !piece.subarray(end).equals(before.subarray(end)))
    throw new Error("what lies behind the body was changed");
  return { end, payload };
};

/** Decodes the text in the pieces that the cuts make, each in memory of its own. */
function decodeBy(read: Read, text: string, cuts: readonly number[]): Reading {
  const decoder = new ChunkedDecoder();
  let whole = "";
  let from = 0;
  for (const to of [...cuts, text.length]) {
    const piece = Buffer.from(text.slice(from, to), "latin1");
    const { end, payload } = read(decoder, piece);
    whole += payload;
    if (end < 0) return "bad";
    if (decoder.done) return { payload: whole, used: from + end };
    if (end !== piece.length) throw new Error(`stopped at ${end} of ${piece.length}`);
    from = to;
  }
  return "unfinished";
}

/** Decodes in both ways, which must come to the same. */
function decode(text: string, cuts: readonly number[] = []): Reading {
  const views = decodeBy(byViews, text, cuts);
  const compacted = decodeBy(inPlace, text, cuts);
  if (!same(views, compacted))
    throw new Error(`${JSON.stringify(text)} cut at ${cuts}: ${JSON.stringify({ views, compacted })}`);
  return views;
}

const everyByte = (text: string): number[] => Array.from(text, (_, at) => at);

const LEGAL: [string, string][] = [
  ["0\r\n\r\n", ""],
  ["5\r\nhello\r\n0\r\n\r\n", "hello"],
  ["1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n", "abc"],
  ["A\r\n0123456789\r\n00a\r\n0123456789\r\n000\r\n\r\n", "01234567890123456789"],
  [`${"0".repeat(100)}3\r\nabc\r\n${"0".repeat(100)}\r\n\r\n`, "abc"],
  ['3;a=b;c="d e\\"";f\r\nabc\r\n0;z\r\n\r\n', "abc"],
  ["3 ;\ta = b\r\nabc\r\n0\r\n\r\n", "abc"],
  ["3\r\nabc\r\n0\r\nX-A: b\r\nContent-Length: 50\r\nX-Empty:\r\n\r\n", "abc"],
  ["7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n"],
  ["4\r\n\0\r\n\xff\r\n0\r\n\r\n", "\0\r\n\xff"],
];

const ILLEGAL = [
  "\r\n",
  "x\r\n",
  "0x3\r\nabc\r\n0\r\n\r\n",
  "-3\r\nabc\r\n0\r\n\r\n",
  "+3\r\nabc\r\n0\r\n\r\n",
  " 3\r\nabc\r\n0\r\n\r\n",
  "3 \r\nabc\r\n0\r\n\r\n",
  "3_0\r\nabc\r\n0\r\n\r\n",
  "3.0\r\nabc\r\n0\r\n\r\n",
  "3g\r\nabc\r\n0\r\n\r\n",
  "3\xa0\r\nabc\r\n0\r\n\r\n",
  "10000000000003\r\nabc\r\n0\r\n\r\n",
  "100000000000000000000003\r\nabc\r\n0\r\n\r\n",
  "3\nabc\r\n0\r\n\r\n",
  "3\rabc\r\n0\r\n\r\n",
  "3\r\r\nabc\r\n0\r\n\r\n",
  "3\r\nabc\n0\r\n\r\n",
  "3\r\nabc\r0\r\n\r\n",
  "3\r\nabc\rX0\r\n\r\n",
  "3\r\nabc0\r\n\r\n",
  "3\r\nabcd\r\n0\r\n\r\n",
  "2\r\nabc\r\n0\r\n\r\n",
  "3\r\nabc\r\n\r\n0\r\n\r\n",
  "3;\r\nabc\r\n0\r\n\r\n",
  "3;=b\r\nabc\r\n0\r\n\r\n",
  "3;a=\r\nabc\r\n0\r\n\r\n",
  "3;a b\r\nabc\r\n0\r\n\r\n",
  '3;a="b\r\nabc\r\n0\r\n\r\n',
  '3;a="b"c\r\nabc\r\n0\r\n\r\n',
  "3;a\nb\r\nabc\r\n0\r\n\r\n",
  "3;a\rb\r\nabc\r\n0\r\n\r\n",
  "3;a\0b\r\nabc\r\n0\r\n\r\n",
  '3;a="\x01"\r\nabc\r\n0\r\n\r\n',
  '3;a="\\\x01"\r\nabc\r\n0\r\n\r\n',
  "0\n\r\n",
  "0\r\n\n",
  "0\r\n\rX",
  "0\r\nNoColon\r\n\r\n",
  "0\r\n: a\r\n\r\n",
  "0\r\nX A: b\r\n\r\n",
  "0\r\n X-A: b\r\n\r\n",
  "0\r\nX-A : b\r\n\r\n",
  "0\r\nX-A: a\nb\r\n\r\n",
  "0\r\nX-A: a\0b\r\n\r\n",
  "0\r\nX-A: a\r\n b\r\n\r\n",
];

describe("a chunked body", () => {
  for (const [text, payload] of LEGAL) {
    test(`${JSON.stringify(text.slice(0, 60))} gives the same payload however it is cut`, () => {
      const whole = { payload, used: text.length };
      expect(decode(text)).toEqual(whole);
      expect(decode(text, everyByte(text))).toEqual(whole);
      for (let first = 0; first < text.length; first++) {
        for (let second = first; second < text.length; second += 3)
          if (!same(decode(text, [first, second]), whole))
            throw new Error(
              `cut at ${first} and ${second}: ${JSON.stringify(decode(text, [first, second]))}`,
            );
      }
    });
  }

  for (const text of ILLEGAL) {
    test(`${JSON.stringify(text)} is refused however it is cut`, () => {
      expect(decode(text)).toBe("bad");
      expect(decode(text, everyByte(text))).toBe("bad");
      for (let at = 0; at < text.length; at++) expect(decode(text, [at])).toBe("bad");
    });
  }

  test("ends where it ends, whatever follows", () => {
    expect(decode("3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n")).toEqual({ payload: "abc", used: 13 });
  });

  test("is refused at the byte that is wrong, not later", () => {
    for (const text of ["3\r\nabcX", "3\r\nabc\n", "3\n", "3\rX", "0\r\n\n"]) {
      expect(decode(text)).toBe("bad");
      expect(decode(text.slice(0, -1))).toBe("unfinished");
    }
  });

  test("has a size line of at most 1,024 bytes", () => {
    const body = (length: number) => `3;${"a".repeat(length - 4)}\r\nabc\r\n0\r\n\r\n`;
    expect(decode(body(1024))).toMatchObject({ payload: "abc" });
    expect(decode(body(1025))).toBe("bad");
    // Told at the bound, not when the line ends at last.
    expect(decode(`3;${"a".repeat(1024)}`)).toBe("bad");
    expect(decode("0".repeat(1025))).toBe("bad");
  });

  test("has at most 8,192 bytes of trailers", () => {
    const line = `X-A: ${"b".repeat(1000)}\r\n`;
    const body = (lines: number) => `0\r\n${line.repeat(lines)}\r\n`;
    expect(decode(body(8))).toMatchObject({ payload: "" });
    expect(decode(body(9))).toBe("bad");
    expect(decode(`0\r\nX: ${"b".repeat(1024)}`)).toBe("bad");
  });

  test("cannot make the reader of extensions slow", () => {
    const hostile = [
      `3${";a=".repeat(340)}\r\n`,
      `3;a="${"\\".repeat(1000)}\r\n`,
      `3;a${" ".repeat(1000)}\r\n`,
      `3${" ;a ".repeat(250)}!\r\n`,
      `${"0".repeat(1020)}x\r\n`,
    ];
    for (let round = 0; round < 100; round++) {
      for (const line of hostile) expect(decode(line)).toBe("bad");
    }
  });

  test("is read as by a slow and obvious reader, for any bytes and cuts", async () => {
    const random = new Random();
    await random.run(async () => {
      const seen = { bad: 0, unfinished: 0, whole: 0 };
      for (let round = 0; round < 100_000; round++) {
        const text = randomChunkedBody(random);
        const cuts = randomCuts(random, text.length);
        const expected = readChunkedBody(text);
        const got = decode(text, cuts);
        seen[typeof expected === "string" ? expected : "whole"]++;
        // What is bad in an unfinished line may be told at once, or when the line ends.
        const fits = same(got, expected) || (expected === "unfinished" && got === "bad");
        if (!fits)
          throw new Error(`${JSON.stringify(text)} cut at ${cuts}: ${JSON.stringify({ got, expected })}`);
      }
      for (const count of Object.values(seen)) expect(count).toBeGreaterThan(5_000);
    });
  }, 60_000);
});

function same(a: Reading, b: Reading): boolean {
  return (
    a === b ||
    (typeof a !== "string" && typeof b !== "string" && a.payload === b.payload && a.used === b.used)
  );
}

function randomCuts(random: Random, length: number): number[] {
  if (random.below(8) === 0) return Array.from({ length }, (_, at) => at);
  return Array.from({ length: random.below(4) }, () => random.below(length + 1)).sort((a, b) => a - b);
}
