import { describe, expect, test } from "bun:test";

import { parseConfig } from "../../src/config/load.ts";
import { byId, type Plan } from "../../src/config/plan.ts";
import { renumber } from "../../src/config/renumber.ts";
import { planDifference } from "../../src/supervisor/plan-difference.ts";
import { placePlan } from "../../src/supervisor/slots.ts";
import { configOf, type GroupSetup } from "../support/config.ts";

const NONE = { forwards: new Set<number>(), upstreams: new Set<number>(), groups: new Set<number>() };

function planOf(groups: Readonly<Record<string, GroupSetup>>): Plan {
  const loaded = parseConfig(JSON.stringify(configOf(groups)), "test", {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.errors));
  return loaded.plan;
}

const url = (name: string) => `http://${name}.test`;
const over = (...names: string[]): GroupSetup => ({
  upstreams: Object.fromEntries(names.map((name) => [name, url(name)])),
});
const ids = (entries: readonly { readonly name: string; readonly id: number }[]) =>
  Object.fromEntries(entries.map(({ name, id }) => [name, id]));

describe("a plan in the place of another", () => {
  const present = planOf({ one: over("a", "b"), two: over("c") });

  test("keeps the id of all that stays, in whatever order it stands", () => {
    const { plan, fresh } = placePlan(planOf({ two: over("c"), one: over("b", "a") }), present, NONE);
    expect(ids(plan.upstreams)).toEqual(ids(present.upstreams));
    expect(ids(plan.groups)).toEqual(ids(present.groups));
    expect(ids(plan.forwards)).toEqual(ids(present.forwards));
    expect(fresh).toEqual({ forwards: [], upstreams: [], groups: [] });
  });

  test("gives what is new free ids, not those of what is gone, as requests may still be on it", () => {
    const { plan, fresh } = placePlan(planOf({ one: over("b", "d") }), present, NONE);
    expect(ids(plan.upstreams)).toEqual({ b: 1, d: 3 });
    expect(fresh.upstreams).toEqual([3]);
    // Once they have gone the ids are free.
    const after = placePlan(planOf({ one: over("b", "d", "e") }), plan, NONE);
    expect(ids(after.plan.upstreams)).toEqual({ b: 1, d: 3, e: 0 });
    const held = placePlan(planOf({ one: over("b", "d", "e") }), plan, {
      ...NONE,
      upstreams: new Set([0, 2]),
    });
    expect(ids(held.plan.upstreams)).toEqual({ b: 1, d: 3, e: 4 });
  });

  test("takes an upstream with another URL for another one", () => {
    const moved = { one: { upstreams: { a: "http://elsewhere.test", b: url("b") } }, two: over("c") };
    expect(placePlan(planOf(moved), present, NONE).fresh.upstreams).toEqual([3]);
  });

  test("refers to the same things as before", () => {
    const { plan } = placePlan(planOf({ two: over("c", "a"), three: over("d") }), present, NONE);
    const names = plan.groups.map(({ name, members }) => [
      name,
      members.map(({ upstream }) => byId(plan.upstreams)[upstream]!.name),
    ]);
    expect(names).toEqual([
      ["two", ["c", "a"]],
      ["three", ["d"]],
    ]);
    expect(plan.forwards.map(({ name, group }) => [name, byId(plan.groups)[group]!.name])).toEqual([
      ["two", "two"],
      ["three", "three"],
    ]);
  });
});

describe("the difference between plans", () => {
  const before = planOf({ one: over("a", "b"), two: over("c") });

  test("does not see ids", () => {
    const other = renumber(before, { forwards: [5, 3], upstreams: [7, 2, 9], groups: [1, 4] });
    expect(planDifference(before, other)).toEqual({});
  });

  test("names what was added, removed and changed", () => {
    const after = planOf({
      one: { ...over("a", "d"), strategy: "random", forward: { max_body_size: "1MB" } },
      three: over("a"),
    });
    expect(planDifference(before, after)).toEqual({
      forwards: "+three -two ~one",
      upstreams: "+d -b -c",
      groups: "+three -two ~one",
    });
  });

  test("shows no secret", () => {
    const keys = (token: string) =>
      planOf({ one: { upstreams: { a: { url: url("a"), auth: { type: "bearer", token } } } } });
    expect(planDifference(keys("secret-one"), keys("secret-two"))).toEqual({ upstreams: "~a" });
  });

  test("tells of what belongs to the whole process", () => {
    const after = { ...before, workers: 3, bufferedBytesMax: 1e9, admin: { ...before.admin, port: 1 } };
    expect(planDifference(before, after)).toEqual({ settings: "~admin ~max_buffered_bytes ~workers" });
  });
});
