import { expect, test } from "bun:test";

import { LineBytes } from "../../src/observe/line-bytes.ts";
import { MemberPhrase } from "../../src/observe/member-phrase.ts";
import { Phrase } from "../../src/observe/phrase.ts";
import { jsonText } from "../../src/observe/text.ts";
import { Random } from "../support/random.ts";

const NAME = new MemberPhrase("name:");

function textOf(lines: LineBytes): string {
  return Buffer.from(lines.written()).toString("latin1");
}

function written(write: (to: LineBytes) => void): string {
  const lines = new LineBytes();
  write(lines);
  return textOf(lines);
}

test("numbers are written as JSON has them", () => {
  const edges = [0, 9, 10, 99, 100, 999, 1000, 2 ** 31 - 1, 2 ** 31, 10 ** 9, 2 ** 53, -1, -0, 0.5, 1e21];
  for (const number of edges) expect(written((to) => to.number(NAME, number))).toBe(`name:${number}`);
  expect(written((to) => to.number(NAME, null))).toBe("name:null");
});

test("thousandths are written as JSON has the rounded number", async () => {
  const edges = [
    0,
    0.0004,
    0.0005,
    0.001,
    0.01,
    0.1,
    0.999,
    0.9996,
    1,
    1.5,
    20.05,
    2 ** 31 / 1000,
    1e9,
    -2.25,
  ];
  const random = new Random();
  await random.run(async () => {
    const some = Array.from({ length: 2000 }, () => random.below(2 ** 30) / 2 ** random.below(30));
    for (const ms of [...edges, ...some])
      expect(written((to) => to.thousandths(NAME, ms))).toBe(
        `name:${JSON.stringify(Math.round(ms * 1000) / 1000)}`,
      );
  });
  expect(written((to) => to.thousandths(NAME, null))).toBe("name:null");
});

test("times are written as ISO 8601 has them, in whatever order they come", async () => {
  const random = new Random();
  await random.run(async () => {
    const start = Date.UTC(2026, 10, 23, 4, 5, 6);
    const lines = new LineBytes();
    for (let round = 0; round < 2000; round++) {
      const ms = start + random.below(4000) - 2000;
      lines.length = 0;
      lines.time(ms);
      expect(textOf(lines)).toBe(new Date(ms).toISOString());
    }
  });
});

test("a text is escaped wherever in it that is needed", async () => {
  const random = new Random();
  await random.run(async () => {
    for (let round = 0; round < 2000; round++) {
      const text = `${"x".repeat(random.below(20))}${String.fromCharCode(random.below(0x180))}${"y".repeat(random.below(20))}`;
      expect(written((to) => to.json(NAME, text))).toBe(`name:${jsonText(text)}`);
    }
  });
  expect(written((to) => to.json(NAME, null))).toBe("name:null");
});

test("a text that mostly comes again is written as any other is", async () => {
  const random = new Random();
  await random.run(async () => {
    const member = new MemberPhrase(',"name":');
    const texts = ["a", "b", 'c"\\\n', "é🌍", "x".repeat(64), "y".repeat(65), "", null];
    // Runs of one text, which is then remembered, and others between them.
    for (let round = 0; round < 3000; round++) {
      const text = texts[random.below(10) === 0 ? random.below(texts.length) : (round >> 7) % texts.length]!;
      const expected = `,"name":${text === null ? "null" : jsonText(text)}`;
      expect(written((to) => to.repeated(member, text))).toBe(expected);
    }
  });
});

test("there is room for as much as is written", () => {
  const lines = new LineBytes();
  let text = "";
  const add = (piece: string): void => {
    text += piece;
    lines.ascii(piece);
  };
  for (let i = 0; i < 3000; i++) add(`${i} ${"x".repeat(i % 50)}\n`);
  add("y".repeat(1_000_000));
  expect(textOf(lines)).toBe(text);
  lines.length = 0;
  lines.ascii("z".repeat(2_000_000));
  expect(lines.length).toBe(2_000_000);
});

test("phrases of any length are written whole, and leave alone what stands before them", async () => {
  const random = new Random();
  await random.run(async () => {
    const lines = new LineBytes();
    let text = "";
    while (text.length < 100_000) {
      const piece = Array.from({ length: random.below(40) }, () =>
        String.fromCharCode(random.below(0x7f)),
      ).join("");
      text += piece;
      lines.phrase(new Phrase(piece));
    }
    expect(textOf(lines)).toBe(text);
  });
});

test("a phrase finds room wherever the memory ends", () => {
  for (let left = 0; left <= 20; left++) {
    for (let length = 0; length <= 20; length++) {
      const lines = new LineBytes();
      // Memory grows by doubling from 32 KB.
      const before = "x".repeat(32 * 1024 - left);
      const piece = "abcdefghijklmnopqrstuvwxyz".slice(0, length);
      lines.ascii(before);
      lines.phrase(new Phrase(piece));
      expect(textOf(lines) === before + piece).toBe(true);
    }
  }
});

test("a phrase may become another one, and leaves alone those beside it", async () => {
  const random = new Random();
  await random.run(async () => {
    const phrases = Array.from({ length: 20 }, () => ({ phrase: new Phrase("abc"), text: "abc" }));
    for (let round = 0; round < 500; round++) {
      const changed = phrases[random.below(phrases.length)]!;
      changed.text = String.fromCharCode(97 + random.below(26)).repeat(random.below(round + 1));
      changed.phrase.set(changed.text);
      const all = written((to) => {
        for (const { phrase } of phrases) to.phrase(phrase);
      });
      expect(all).toBe(phrases.map(({ text }) => text).join(""));
    }
  });
});

test("a phrase is of ASCII", () => {
  for (const text of ["\x7f", "ü", "\u2028"]) expect(() => new Phrase(text)).toThrow("ASCII");
});
