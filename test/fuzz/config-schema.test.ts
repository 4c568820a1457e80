import { expect, test } from "bun:test";

import { judgeTree } from "../../src/config/load.ts";
import { makePlan } from "../../src/config/plan.ts";
import { Report } from "../../src/config/report.ts";
import { configShape, type Shape } from "../../src/config/schema-shape.ts";
import type { Config } from "../../src/config/schema.ts";
import { MANY_CASES_TIMEOUT_MS, tryManyCases } from "../support/many-cases.ts";
import { randomConfig, SIZES } from "./config-random.ts";
import { brokenRules, type PlainConfig } from "./config-rules.ts";

function fail(what: string, given: unknown): never {
  throw new Error(`${what}: ${Bun.inspect(given, { depth: 20 })}`);
}

/** Expects what the file says, or else the default, at each key that the schema knows. */
function checkValues(shape: Shape, given: unknown, made: unknown, path: string): void {
  if (shape.kind === "scalar") {
    const wanted = given === undefined ? shape.fallback : (SIZES.get(given) ?? given);
    // The number of workers may be written as text.
    if (made !== wanted && String(made) !== wanted) fail(`${path} is ${String(made)}`, given);
  } else if (shape.kind === "list") {
    const items = (given ?? []) as unknown[];
    if ((made as unknown[]).length !== items.length) fail(`${path} has another length`, given);
    items.forEach((item, i) => checkValues(shape.item, item, (made as unknown[])[i], `${path}[${i}]`));
  } else if (made !== undefined || given !== undefined) {
    for (const [key, child] of shape.keys) {
      const from = (given as Record<string, unknown> | undefined)?.[key];
      checkValues(child, from, (made as Record<string, unknown>)[key], `${path}.${key}`);
    }
  }
}

/** The forwards and members of the plan are those that the names say, and what is written out with its defaults is the same. */
function checkPlan(config: Config, given: unknown): void {
  const { forwards, groups, upstreams } = makePlan(config);
  config.http_server.forwards.forEach(({ upstream_group: group, default_group: older }, i) => {
    if (groups[forwards[i]!.group]?.name !== (group ?? older)) fail("a forward leads elsewhere", given);
  });
  config.upstream_groups.forEach((group, i) => {
    const names = groups[i]!.members.map(({ upstream }) => upstreams[upstream]?.name);
    if (
      !Bun.deepEquals(
        names,
        group.upstreams.map(({ name }) => name),
      )
    )
      fail("a group has other members", given);
  });
  if (!Bun.deepEquals(judgeTree(config, new Report("again")), config))
    fail("it is another one when loaded again", given);
}

test(
  "a configuration made from the schema is taken as it is written, or refused at each value that is wrong",
  () => {
    let refused = 0;
    let broken = 0;
    const cost = 40;
    const cases = tryManyCases(
      "configurations made from the schema",
      (random) => {
        const { tree, wrong } = randomConfig(random);
        const report = new Report("fuzz.yaml");
        const config = judgeTree(tree, report);
        const errors = report.errors();
        if (wrong.length > 0 || errors.length > 0) {
          refused++;
          const paths = new Set(errors.map(({ path }) => path));
          const missed = wrong.filter((path) => !paths.has(path));
          if (missed.length > 0)
            fail(`no error at ${missed.join(" ")}, but at ${[...paths].join(" ")}`, tree);
          if (wrong.length > 0) return;
          broken++;
          if (brokenRules(tree as PlainConfig).length === 0)
            fail(`an error at ${[...paths].join(" ")}`, tree);
          return;
        }
        const rules = brokenRules(tree as PlainConfig);
        if (rules.length > 0 || config === null) fail(`taken, though not: ${rules.join(", ")}`, tree);
        checkValues(configShape, tree, config, "");
        checkPlan(config, tree);
      },
      cost,
    );

    // Each of the three has its share.
    expect(cases - refused).toBeGreaterThan(cases / 8);
    expect(refused - broken).toBeGreaterThan(cases / 8);
    expect(broken).toBeGreaterThan(cases / 8);
  },
  MANY_CASES_TIMEOUT_MS,
);
