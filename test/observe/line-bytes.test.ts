import { expect, test } from "bun:test";

import { LineBytes } from "../../src/observe/line-bytes.ts";
import { jsonText } from "../../src/observe/text.ts";
import { Random } from "../support/random.ts";

function written(write: (to: LineBytes) => void): string {
  const lines = new LineBytes();
  write(lines);
  return Buffer.from(lines.take()).toString("latin1");
}

test("numbers are written as JSON has them", () => {
  const edges = [0, 9, 10, 99, 100, 999, 1000, 2 ** 31 - 1, 2 ** 31, 10 ** 9, 2 ** 53, -1, -0, 0.5, 1e21];
  for (const number of edges) expect(written((to) => to.number("", number))).toBe(String(number));
  expect(written((to) => to.number("", null))).toBe("null");
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
      expect(written((to) => to.thousandths("", ms))).toBe(JSON.stringify(Math.round(ms * 1000) / 1000));
  });
  expect(written((to) => to.thousandths("", null))).toBe("null");
});

test("times are written as ISO 8601 has them, in whatever order they come", async () => {
  const random = new Random();
  await random.run(async () => {
    const start = Date.UTC(2026, 10, 23, 4, 5, 6);
    const lines = new LineBytes();
    for (let round = 0; round < 2000; round++) {
      const ms = start + random.below(4000) - 2000;
      lines.time("", ms);
      expect(Buffer.from(lines.take()).toString()).toBe(new Date(ms).toISOString());
    }
  });
});

test("a text is escaped wherever in it that is needed", async () => {
  const random = new Random();
  await random.run(async () => {
    for (let round = 0; round < 2000; round++) {
      const text = `${"x".repeat(random.below(20))}${String.fromCharCode(random.below(0x180))}${"y".repeat(random.below(20))}`;
      expect(written((to) => to.json("", text))).toBe(jsonText(text));
    }
  });
  expect(written((to) => to.json("", null))).toBe("null");
});

test("there is room for as much as is written, and what was taken stays as it is", () => {
  const lines = new LineBytes();
  let text = "";
  const add = (piece: string): void => {
    text += piece;
    lines.ascii(piece);
  };
  for (let i = 0; i < 3000; i++) add(`${i} ${"x".repeat(i % 50)}\n`);
  add("y".repeat(1_000_000));
  const taken = lines.take();
  lines.ascii("z".repeat(2_000_000));
  expect(Buffer.from(taken).toString("latin1")).toBe(text);
  expect(lines.length).toBe(2_000_000);
});
