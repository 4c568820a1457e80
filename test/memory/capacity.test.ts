import { expect, test } from "bun:test";

import { misfit, proposeCapacity } from "../../src/memory/capacity.ts";
import type { Sizes } from "../../src/memory/capacity.ts";

interface Counts {
  readonly forwards?: number;
  readonly upstreams?: number;
  readonly groups?: number;
  readonly members?: number;
  readonly probes?: number;
}

function sizes({ forwards = 1, upstreams = 1, groups = 1, members = 1, probes = 1 }: Counts): Sizes {
  return {
    forwards: Array.from({ length: forwards }, (_, id) => ({ id })),
    upstreams: Array.from({ length: upstreams }, (_, id) => ({ id, breaker: { halfOpenRequests: probes } })),
    groups: Array.from({ length: groups }, (_, id) => ({ id, members: new Array<number>(members).fill(0) })),
  };
}

test("the proposed capacity has room for four times the plan, in powers of two, and for some at least", () => {
  expect(proposeCapacity(sizes({ groups: 20, members: 33 }), 6)).toEqual({
    workers: 16,
    forwards: 64,
    upstreams: 64,
    groups: 128,
    members: 256,
    probes: 16,
  });
  expect(proposeCapacity(sizes({}), 12).workers).toBe(24);
  expect(proposeCapacity(sizes({}), 64).workers).toBe(64);
});

test("a plan fits while every kind has room, and ids count rather than entries", () => {
  const capacity = proposeCapacity(sizes({}), 1);
  expect(misfit(capacity, sizes({ forwards: 64, upstreams: 64, groups: 64, members: 64 }))).toBeNull();
  for (const kind of ["forwards", "upstreams", "groups", "members"] as const)
    expect(misfit(capacity, sizes({ [kind]: 65 }))).toBe(kind);
  expect(misfit(capacity, sizes({ probes: 17 }))).toBe("probes");
  expect(misfit(capacity, { forwards: [], upstreams: [{ id: 64, breaker: null }], groups: [] })).toBe(
    "upstreams",
  );
});
