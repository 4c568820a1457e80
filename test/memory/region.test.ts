import { expect, test } from "bun:test";

import { BalancerMemory } from "../../src/memory/balancer-memory.ts";
import { Region } from "../../src/memory/region.ts";

test("views asked for in the same order over the same buffer are the same memory", () => {
  const build = (region: Region) => ({ a: region.int32(3), b: region.uint64(1), c: region.float64(9) });
  const bytes = Region.measure((region) => void build(region));
  const buffer = new SharedArrayBuffer(bytes);
  const [one, two] = [build(new Region(buffer)), build(new Region(buffer))];
  one.a[2] = 7;
  one.b[0] = 5n;
  one.c[8] = 0.5;
  expect([two.a[2], two.b[0], two.c[8]]).toEqual([7, 5n, 0.5]);
});

test("views do not overlap and each begins on a cache line", () => {
  const region = new Region(new SharedArrayBuffer(4096));
  const views = [region.int32(1), region.float64(3), region.uint64(8), region.int32(17), region.int32(0)];
  let end = 0;
  for (const view of views) {
    expect(view.byteOffset % 64).toBe(0);
    expect(view.byteOffset).toBeGreaterThanOrEqual(end);
    end = view.byteOffset + view.byteLength;
  }
});

test("a buffer of exactly the measured size is enough, one byte less is not", () => {
  const capacity = { workers: 3, forwards: 1, upstreams: 5, groups: 2, members: 4, probes: 2 };
  const bytes = Region.measure((region) => new BalancerMemory(region, capacity));
  const build = (size: number) => new BalancerMemory(new Region(new SharedArrayBuffer(size)), capacity);
  expect(() => build(bytes)).not.toThrow();
  expect(() => build(bytes - 64)).toThrow();
});
