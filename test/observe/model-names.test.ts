import { expect, test } from "bun:test";

import { ModelNames } from "../../src/observe/model-names.ts";

test("the first hundred models keep their names, the others are other", () => {
  const names = new ModelNames();
  const labels = Array.from({ length: 150 }, (_, i) => names.labelOf(`model-${i}`));
  expect(labels.slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, i) => `model-${i}`));
  expect(new Set(labels.slice(100))).toEqual(new Set(["other"]));
  expect(names.labelOf("model-7")).toBe("model-7");
});

test("what is no name is unknown, and takes no place", () => {
  const names = new ModelNames();
  for (let i = 0; i < 200; i++) expect(names.labelOf(i % 2 === 0 ? null : "\n\u0000")).toBe("unknown");
  for (let i = 0; i < 100; i++) expect(names.labelOf(`m${i}`)).toBe(`m${i}`);
});

test("a name has no control characters and at most 128 others", () => {
  const names = new ModelNames();
  expect(names.labelOf("a\nb\u007f\u0085c")).toBe("abc");
  expect(names.labelOf("x".repeat(500))).toBe("x".repeat(128));
});
