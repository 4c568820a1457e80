import { expect, test } from "bun:test";

import { type Case, casesOf } from "../../scripts/bench/cases.ts";
import { type Prepare, runCases } from "../../scripts/bench/run-cases.ts";
import { direct, type Target } from "../../scripts/bench/targets/target.ts";
import { ToolError } from "../../scripts/bench/tool.ts";

const targets: Target[] = ["one", "two"].map((name) => ({ ...direct, name }));
const [small] = casesOf(["a"], true);
const [start] = casesOf(["f"], true);

/** Runs a case with servers that only say what becomes of them; `fails`: which events do not succeed. */
async function run(of: Case, rounds: number, fails: readonly string[] = []) {
  const events: string[] = [];
  const happens = (event: string) => {
    events.push(event);
    if (fails.includes(event)) throw new ToolError(`failed to ${event}`);
  };
  const prepare: Prepare = async (_, { name }) => {
    happens(`start ${name}`);
    let turns = 0;
    return {
      async measure() {
        happens(`measure ${name} ${++turns}`);
        return { values: { cpuUs: turns }, threads: [], loadCores: 0, upstreamCores: 0 };
      },
      async stop() {
        events.push(`stop ${name}`);
      },
    };
  };
  const said: string[] = [];
  const results = await runCases(prepare, [of], targets, [], rounds, (line) => said.push(line));
  const samples = results[0]!.rows.map((row) => row.samples.map((sample) => sample?.values.cpuUs ?? null));
  return { events, said, samples };
}

test("targets are up together and take turns, in an order that changes; every round has fresh ones", async () => {
  const { events, samples } = await run({ ...small!, turns: 3 }, 2);
  const turns = ["one 1", "two 1", "two 2", "one 2", "two 3", "one 3"];
  expect(events.slice(0, 10)).toEqual([
    "start one",
    "start two",
    ...turns.map((turn) => `measure ${turn}`),
    "stop one",
    "stop two",
  ]);
  expect(events.slice(10, 13)).toEqual(["start two", "start one", "measure two 1"]);
  expect(events).toHaveLength(20);
  expect(samples).toEqual([
    [2, 2],
    [2, 2],
  ]);
});

test("where memory is measured each target is alone", async () => {
  const { events } = await run(start!, 1);
  expect(events).toEqual(
    ["one", "two"].flatMap((name) => [`start ${name}`, `measure ${name} 1`, `stop ${name}`]),
  );
});

test("a target that fails is told of, stopped, and left out of that round", async () => {
  const atStart = await run({ ...small!, turns: 2 }, 1, ["start one"]);
  expect(atStart.samples).toEqual([[null], [1.5]]);
  expect(atStart.said.at(-1)).toBe("  failed: failed to start one");

  const inTurn = await run({ ...small!, turns: 3 }, 1, ["measure two 1"]);
  expect(inTurn.samples).toEqual([[2], [null]]);
  expect(inTurn.said.filter((line) => line.includes("failed"))).toEqual([
    "  failed: failed to measure two 1",
  ]);
  expect(inTurn.events.filter((event) => event.endsWith("two"))).toEqual(["start two", "stop two"]);
  expect(inTurn.events.indexOf("stop two")).toBe(inTurn.events.indexOf("measure two 1") + 1);
});

test("what is no failure of a tool ends the run, and no process is left", async () => {
  const stopped: string[] = [];
  const prepare: Prepare = async (_, { name }) => ({
    measure: () => Promise.reject(new Error("a bug")),
    stop: async () => void stopped.push(name),
  });
  await expect(runCases(prepare, [small!], targets, [], 1, () => {})).rejects.toThrow("a bug");
  expect(stopped).toEqual(["one", "two"]);
});
