import { afterEach, expect, test } from "bun:test";

import { LOG_SLOT_BYTES, LogSlots } from "../../src/memory/log-slots.ts";
import { Region } from "../../src/memory/region.ts";
import { LineBatcher } from "../../src/observe/line-batcher.ts";
import { setLog } from "../../src/observe/log.ts";
import { Random } from "../support/random.ts";
import { eventually } from "../support/wait.ts";

afterEach(() => setLog("info", (line) => process.stderr.write(line)));

function setup() {
  const bytes = Region.measure((region) => new LogSlots(region));
  const slots = new LogSlots(new Region(new SharedArrayBuffer(bytes)));
  const state = { posted: [] as string[], out: [] as number[], dropped: 0 };
  const batcher = new LineBatcher(
    slots,
    (slot, length) => {
      slots.hold(slot);
      state.out.push(slot);
      state.posted.push(Buffer.from(slots.bytes(slot).subarray(0, length)).toString());
    },
    (lines) => (state.dropped += lines),
  );
  const add = (line: string): void => batcher.add({ writeTo: (lines) => lines.ascii(line) });
  const giveBack = () => {
    for (const slot of state.out.splice(0)) slots.free(slot);
  };
  return { state, slots, batcher, add, giveBack };
}

test("lines are posted together, some time later, in order", async () => {
  const { state, add } = setup();
  for (let i = 0; i < 100; i++) add(`${i}\n`);
  expect(state.posted).toEqual([]);
  await eventually("they are posted", () => state.posted.length > 0);
  expect(state.posted).toEqual([Array.from({ length: 100 }, (_, i) => `${i}\n`).join("")]);
});

test("lines are asked for when there are some of them, or some time later", async () => {
  const { batcher } = setup();
  const asked: number[] = [];
  const add = (number: number) => batcher.add({ writeTo: () => asked.push(number) });
  for (let i = 0; i < 8; i++) {
    expect(asked).toEqual([]);
    add(i);
  }
  expect(asked).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  add(8);
  expect(asked).toHaveLength(8);
  await eventually("the last one is asked", () => asked.length > 8);
  expect(asked.at(-1)).toBe(8);
});

test("a batch that fills its slot is posted at once", () => {
  const { state, add } = setup();
  const line = `${"x".repeat(1023)}\n`;
  for (let i = 0; i < LOG_SLOT_BYTES / 1024; i++) add(line);
  expect(state.posted).toHaveLength(0);
  for (let i = 0; i < 16; i++) add(line);
  expect(state.posted.map((lines) => lines.length)).toEqual([LOG_SLOT_BYTES]);
});

test("what is there at the end is posted on demand, and nothing twice", async () => {
  const { state, batcher, add } = setup();
  add("a\n");
  batcher.flush();
  batcher.flush();
  await Bun.sleep(150);
  expect(state.posted).toEqual(["a\n"]);
});

test("while nothing is given back at most a megabyte is posted; the rest is dropped and counted", () => {
  const { state, batcher, add, giveBack } = setup();
  const line = `${"x".repeat(999)}\n`;
  for (let i = 0; i < 3000; i++) add(line);
  batcher.flush();
  const posted = state.posted.join("").length;
  expect(posted).toBeGreaterThan(1_000_000);
  expect(posted).toBeLessThanOrEqual(1024 * 1024);
  expect(posted / 1000 + state.dropped).toBe(3000);
  giveBack();
  add(line);
  batcher.flush();
  expect(state.posted.join("").length).toBe(posted + 1000);
});

test("a line that cannot be written is dropped and counted, what it has written is forgotten, and it harms no other", () => {
  const { state, batcher, add } = setup();
  const logged: string[] = [];
  setLog("error", (line) => logged.push(line));
  add("a\n");
  batcher.add({
    writeTo: (lines) => {
      lines.ascii("half of ");
      throw new Error("a bug");
    },
  });
  add("b\n");
  batcher.flush();
  expect(state.posted).toEqual(["a\nb\n"]);
  expect(state.dropped).toBe(1);
  expect(logged.join("")).toMatch(/ ERROR log line failed .*a bug/);
});

test("a line that no slot has room for is dropped and counted, and harms no other", () => {
  const { state, batcher, add } = setup();
  add("a\n");
  add(`${"x".repeat(LOG_SLOT_BYTES)}\n`);
  add("b\n");
  batcher.flush();
  expect(state.posted).toEqual(["a\nb\n"]);
  expect(state.dropped).toBe(1);
});

test("lines of any length come whole and in order, whenever slots are given back", async () => {
  const random = new Random();
  await random.run(async () => {
    const { state, batcher, add, giveBack } = setup();
    const lines = 5_000;
    for (let i = 0; i < lines; i++) {
      add(`${i} ${"x".repeat(random.below(random.below(50) === 0 ? 40_000 : 600))}\n`);
      if (random.below(500) === 0) batcher.flush();
      if (random.below(800) === 0) giveBack();
    }
    batcher.flush();
    const numbers: number[] = [];
    for (const batch of state.posted) {
      expect(batch.endsWith("\n")).toBe(true);
      for (const line of batch.slice(0, -1).split("\n")) {
        expect(line).toMatch(/^\d+ x*$/);
        numbers.push(Number.parseInt(line, 10));
      }
    }
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(numbers.length + state.dropped).toBe(lines);
  });
});

test("when a worker ends, what it had not passed on is free again, and what is being written is not", () => {
  const { slots } = setup();
  const claimed = [slots.claim(), slots.claim(), slots.claim(), slots.claim()];
  expect(claimed).toEqual([0, 1, 2, 3]);
  expect(slots.claim()).toBeNull();
  slots.hold(1);
  slots.clear();
  expect([slots.claim(), slots.claim(), slots.claim(), slots.claim()]).toEqual([0, 2, 3, null]);
  slots.free(1);
  expect(slots.claim()).toBe(1);
});
