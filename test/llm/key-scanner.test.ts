import { expect, test } from "bun:test";

import { KeyScanner } from "../../src/llm/key-scanner.ts";

const encoder = new TextEncoder();
const scanner = new KeyScanner(["usage", "error", "finish_reason", "index"]);

function tells(text: string): boolean {
  const bytes = encoder.encode(text);
  return scanner.test(bytes, 0, bytes.length);
}

test("a key with a value is found, at any depth and with any blanks", () => {
  for (const text of [
    '{"usage":{}}',
    '{"a":{"error":"x"}}',
    '{"finish_reason" :\n "stop"}',
    '{"index":1}',
    '{"usage":null,"index":0,"error":[]}',
    '"error":1',
    '{"xxxxxxxxxxxxxxxxxxxxx":1,"usage":2}',
  ])
    expect([text, tells(text)]).toEqual([text, true]);
});

test("null, false and 0, text, and other keys are not", () => {
  for (const text of [
    "",
    '{"usage":null}',
    '{"error": false}',
    '{"index":0}',
    '{"finish_reason":\tnull}',
    '{"content":"the \\"usage\\": {}"}',
    '{"content":"usage"}',
    '{"my_usage":1}',
    '{"usages":1}',
    '{"a":"usage"}',
    '"usage"',
    '"usage":',
    '{"x":"\\"error"}',
    "usage:1",
  ])
    expect([text, tells(text)]).toEqual([text, false]);
});

test("nothing beyond the end of the range counts", () => {
  const bytes = encoder.encode('{"a":1}{"error":1}');
  expect(scanner.test(bytes, 0, 7)).toBe(false);
  for (let end = 0; end < bytes.length; end++) expect(scanner.test(bytes, 0, end)).toBe(end > 16);
  for (let start = 0; start < bytes.length; start++)
    expect(scanner.test(bytes, start, bytes.length)).toBe(start <= 8);
});

test("a key is found behind any filler", () => {
  for (let length = 0; length < 64; length++) {
    for (const filler of ["x", '"', "\\", "usage", '"u', "rro", '"error']) {
      const text = `{"a":"${filler.repeat(length)}`;
      expect(tells(`${text.slice(0, length + 6)} "error":1`)).toBe(true);
    }
  }
});
