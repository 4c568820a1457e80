import { expect, test } from "bun:test";

import { AnswerCache } from "../../src/demo/answer-cache.ts";
import { type Answer, textAnswer } from "../../src/demo/answer.ts";

test("an answer is made once for equal requests, and never given to another whose hash is the same", () => {
  const cache = new AnswerCache();
  let made = 0;
  const ask = (target: string, body: string): Answer =>
    cache.answer("POST", target, Buffer.from(body), 1n, () => textAnswer(200, `answer ${++made}`));
  const first = ask("/a", "one");
  expect(ask("/a", "one")).toBe(first);
  expect(ask("/a", "two")).not.toBe(first);
  expect(ask("/b", "two")).not.toBe(ask("/a", "two"));
});

test("an answer is kept for the bytes the request had, even if their buffer is used again", () => {
  const cache = new AnswerCache();
  const body = Buffer.from("one");
  const first = cache.answer("POST", "/a", body, 1n, () => textAnswer(200, "first"));
  body.write("two");
  const second = cache.answer("POST", "/a", body, 1n, () => textAnswer(200, "second"));
  expect(second).not.toBe(first);
});

test("large requests and large answers are not kept", () => {
  const cache = new AnswerCache();
  const large = Buffer.alloc(10_000);
  const make = (text: string) => (): Answer => textAnswer(200, text);
  expect(cache.answer("POST", "/a", large, 1n, make("x"))).not.toBe(
    cache.answer("POST", "/a", large, 1n, make("x")),
  );
  const small = Buffer.alloc(10);
  const long = make("x".repeat(100_000));
  expect(cache.answer("POST", "/a", small, 2n, long)).not.toBe(cache.answer("POST", "/a", small, 2n, long));
});
