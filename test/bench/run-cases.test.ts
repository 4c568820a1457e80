// Rounds and turns, with the load tools and real processes.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";

import { casesOf, type LoadCase } from "../../scripts/bench/cases.ts";
import { runCases } from "../../scripts/bench/run-cases.ts";
import { command } from "../../scripts/bench/targets/command.ts";
import { direct } from "../../scripts/bench/targets/target.ts";
import { Workshop } from "../../scripts/bench/workshop.ts";

const hasCompiler = process.platform === "linux" && ["cc", "gcc", "clang"].some((name) => Bun.which(name));

describe.skipIf(!hasCompiler)("rounds of a case", () => {
  let workshop: Workshop;
  let tools = "";

  beforeAll(async () => {
    workshop = new Workshop();
    tools = await workshop.tools();
  });
  afterAll(() => workshop.close());

  function brief(scenario: "a" | "c", turns: number): LoadCase {
    const one = casesOf([scenario], true)[0]!;
    if (one.kind !== "load" || one.warming === null) throw new Error("no load");
    const wait = { minMs: 10, maxMs: 10 };
    return { ...one, turns, measureMs: 100, warming: { ...one.warming, wait } };
  }

  test("give one sample of each target, and a target that fails is told of and left out", async () => {
    const said: string[] = [];
    const bench = { tools, directory: join(workshop.directory, "run"), workers: 1 };
    const targets = [direct, command({ name: "broken", command: "exit 7" })];
    const cases = [brief("a", 2), brief("c", 1)];
    const results = await runCases(bench, cases, targets, [], 2, (line) => said.push(line));
    expect(results).toHaveLength(2);
    for (const { rows } of results) {
      expect(rows.map(({ target }) => target)).toEqual(["direct", "broken"]);
      expect(rows[0]!.samples).toHaveLength(2);
      for (const sample of rows[0]!.samples) {
        expect(sample!.values.perSecond).toBeGreaterThan(0);
        expect(sample!.values.errors).toBe(0);
      }
      expect(rows[1]!.samples).toEqual([null, null]);
    }
    expect(said.filter((line) => line.includes("broken"))).toHaveLength(4);
    expect(said.find((line) => line.includes("broken"))).toContain("status 7");
  });
});
