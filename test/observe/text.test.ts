import { expect, test } from "bun:test";

import { fieldText, jsonText } from "../../src/observe/text.ts";
import { Random } from "../support/random.ts";

test("a JSON text is one line of printable ASCII and reads back as it was, whatever is in it", async () => {
  const random = new Random();
  await random.run(async () => {
    for (let round = 0; round < 2000; round++) {
      const length = random.below(40);
      const limit = [0x80, 0x100, 0x10000][random.below(3)]!;
      const text = String.fromCharCode(...Array.from({ length }, () => random.below(limit)));
      expect(jsonText(text)).toMatch(/^[\x20-\x7e]*$/);
      expect(JSON.parse(jsonText(text))).toBe(text);
    }
  });
});

test.each(["\n", "\r", '"', "\\", "\u0000", "\u007f", "\u0085", "\u2028", "\ud800", "\u00e9"])(
  "a text with %j in it is escaped",
  (char) => {
    expect(jsonText(`a${char}b`)).toMatch(/^"a\\[^\n]*b"$/);
  },
);

test("a field is bare where it can be read back, and quoted where it cannot", () => {
  expect(fieldText("http://a:1/x=y")).toBe("http://a:1/x=y");
  expect(fieldText("")).toBe('""');
  expect(fieldText("a b")).toBe('"a b"');
  expect(fieldText("a\nb")).toBe('"a\\nb"');
  expect(fieldText('a"b')).toBe('"a\\"b"');
});
