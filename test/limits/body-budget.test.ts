import { expect, test } from "bun:test";

import { BodyBudget, defaultBodyBytesMax } from "../../src/limits/body-budget.ts";
import { ByteBudget, PIECE_BYTES } from "../../src/memory/byte-budget.ts";
import { inFreshMemory } from "../memory/setup.ts";
import { Random } from "../support/random.ts";

const WORKERS = 3;

function budgets(pieces: number): [ByteBudget, BodyBudget[]] {
  const shared = inFreshMemory((region) => new ByteBudget(region, WORKERS));
  shared.setMax(pieces * PIECE_BYTES);
  return [shared, Array.from({ length: WORKERS }, (_, worker) => new BodyBudget(shared, worker))];
}

test("bytes are there for whoever asks first, until there are none", () => {
  const [, [one, other]] = budgets(2);
  expect(one!.take(PIECE_BYTES)).toBe(true);
  expect(other!.take(PIECE_BYTES + 1)).toBe(false);
  expect(other!.take(PIECE_BYTES)).toBe(true);
  expect(one!.take(1)).toBe(false);
  one!.giveBack(1);
  expect(one!.take(1)).toBe(true);
});

test("small requests one after the other touch the shared budget once", () => {
  const [shared, [one]] = budgets(2);
  for (let i = 0; i < 100; i++) {
    expect(one!.take(1000)).toBe(true);
    expect(shared.takenBytes()).toBe(PIECE_BYTES);
    one!.giveBack(1000);
  }
});

test("never more is held than there is, and in the end all is back but a piece each", async () => {
  const random = new Random();
  await random.run(async () => {
    const [shared, all] = budgets(20);
    const held: [worker: number, bytes: number][] = [];
    const sum = () => held.reduce((total, [, bytes]) => total + bytes, 0);
    let refused = 0;
    for (let step = 0; step < 50_000; step++) {
      if (random.below(100) < 52) {
        const [worker, bytes] = [random.below(WORKERS), random.below(2 * PIECE_BYTES)];
        if (all[worker]!.take(bytes)) held.push([worker, bytes]);
        else {
          refused++;
          // Only where it is nearly used up: each worker may keep a piece and a part of one.
          expect(sum() + bytes).toBeGreaterThan((20 - 2 * WORKERS) * PIECE_BYTES);
        }
      } else if (held.length > 0) {
        const [[worker, bytes]] = held.splice(random.below(held.length), 1) as [[number, number]];
        all[worker]!.giveBack(bytes);
      }
      expect(sum()).toBeLessThanOrEqual(shared.takenBytes());
      expect(shared.takenBytes()).toBeLessThanOrEqual(20 * PIECE_BYTES);
    }
    expect(refused).toBeGreaterThan(100);
    for (const [worker, bytes] of held) all[worker]!.giveBack(bytes);
    expect(shared.takenBytes()).toBeLessThanOrEqual(WORKERS * PIECE_BYTES);
  });
});

test("by default it is a part of the memory, at most 1 GB", () => {
  expect(defaultBodyBytesMax()).toBeGreaterThan(1024 ** 2);
  expect(defaultBodyBytesMax()).toBeLessThanOrEqual(1024 ** 3);
});
