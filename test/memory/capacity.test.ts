import { expect, test } from "bun:test";

import { fits, proposeCapacity } from "../../src/memory/capacity.ts";
import type { Sizes } from "../../src/memory/capacity.ts";

function sizes(upstreams: number, groups: number, members: number, probes: number): Sizes {
  return {
    upstreams: Array.from({ length: upstreams }, (_, id) => ({ id, breaker: { halfOpenRequests: probes } })),
    groups: Array.from({ length: groups }, (_, id) => ({ id, members: new Array<number>(members).fill(0) })),
  };
}

test("the proposed capacity has room for twice the plan, in powers of two, and for 16 at least", () => {
  const capacity = proposeCapacity(sizes(1, 20, 33, 16), 6);
  expect(capacity).toEqual({ workers: 6, upstreams: 16, groups: 64, members: 128, probes: 32 });
});

test("a plan fits while every kind has room, and ids count rather than entries", () => {
  const capacity = proposeCapacity(sizes(1, 1, 1, 1), 1);
  expect(fits(capacity, sizes(16, 16, 16, 16))).toBe(true);
  expect(fits(capacity, sizes(17, 1, 1, 1))).toBe(false);
  expect(fits(capacity, sizes(1, 17, 1, 1))).toBe(false);
  expect(fits(capacity, sizes(1, 1, 17, 1))).toBe(false);
  expect(fits(capacity, sizes(1, 1, 1, 17))).toBe(false);
  expect(fits(capacity, { upstreams: [{ id: 16, breaker: null }], groups: [] })).toBe(false);
});
