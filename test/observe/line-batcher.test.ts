import { expect, test } from "bun:test";

import { LineBatcher } from "../../src/observe/line-batcher.ts";
import { eventually } from "../support/wait.ts";

function setup() {
  const state = { posted: [] as string[], taken: 0, dropped: 0 };
  const batcher = new LineBatcher(
    (lines) => state.posted.push(Buffer.from(lines).toString()),
    () => state.taken,
    (lines) => (state.dropped += lines),
  );
  const add = (line: string): void => {
    batcher.begin().ascii(line);
    batcher.end();
  };
  return { state, batcher, add };
}

test("lines are posted together, some time later, in order", async () => {
  const { state, add } = setup();
  for (let i = 0; i < 100; i++) add(`${i}\n`);
  expect(state.posted).toEqual([]);
  await eventually("they are posted", () => state.posted.length > 0);
  expect(state.posted).toEqual([Array.from({ length: 100 }, (_, i) => `${i}\n`).join("")]);
});

test("a batch that is long enough is posted at once", () => {
  const { state, add } = setup();
  const line = `${"x".repeat(1023)}\n`;
  for (let i = 0; i < 255; i++) add(line);
  expect(state.posted).toHaveLength(0);
  add(line);
  expect(state.posted).toHaveLength(1);
});

test("what is there at the end is posted on demand, and nothing twice", async () => {
  const { state, batcher, add } = setup();
  add("a\n");
  batcher.flush();
  batcher.flush();
  await Bun.sleep(150);
  expect(state.posted).toEqual(["a\n"]);
});

test("while nothing is taken at most a megabyte is posted; the rest is dropped and counted", () => {
  const { state, batcher, add } = setup();
  const line = `${"x".repeat(999)}\n`;
  for (let i = 0; i < 3000; i++) add(line);
  batcher.flush();
  const posted = state.posted.join("").length;
  expect(posted).toBeLessThanOrEqual(1024 * 1024);
  expect(posted / 1000 + state.dropped).toBe(3000);
  state.taken = posted;
  add(line);
  batcher.flush();
  expect(state.posted.join("").length).toBe(posted + 1000);
});

test("a line that is not brought to its end is forgotten", () => {
  const { state, batcher, add } = setup();
  add("a\n");
  batcher.begin().ascii("half of ");
  add("b\n");
  batcher.begin().ascii("half of ");
  batcher.flush();
  expect(state.posted).toEqual(["a\nb\n"]);
});
