import { expect, test } from "bun:test";

import { describePlan } from "../../src/config/describe.ts";
import { judgeTree, parseConfig } from "../../src/config/load.ts";
import { makePlan, type Plan } from "../../src/config/plan.ts";
import { formatProblem, type Problem } from "../../src/config/problem.ts";
import { Report } from "../../src/config/report.ts";
import { configShape, type Shape } from "../../src/config/schema-shape.ts";
import type { Config } from "../../src/config/schema.ts";
import type { Mapping } from "../../src/config/tree.ts";
import { joinPath } from "../../src/proxy/target.ts";
import { MANY_CASES_TIMEOUT_MS, tryManyCases } from "../support/many-cases.ts";
import { ENV, keepsSecretsInPlace, mutatedText, TEXTS } from "./config-texts.ts";
import { harmlessTree, mutatedTree } from "./config-trees.ts";

/** A text costs about so many times as much as a tree. */
const TEXT_COST = 10;
const FILE = "fuzz.yaml";
const SECRET = /canary|finch/;
/** What no terminal and no line of a log should be given. */
const HARMFUL = /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|\p{Cs}/u;

function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** Every problem has a place and a message that is whole and fit to be shown. */
function checkProblems(problems: readonly Problem[], linesMax: number): void {
  problems.forEach((problem, at) => {
    const { line, column, message } = problem;
    const printed = formatProblem(problem);
    demand(message !== "" && !/undefined|\[object|NaN|Symbol/.test(message), `a broken message: ${printed}`);
    demand(!HARMFUL.test(printed), `a harmful message: ${JSON.stringify(printed)}`);
    // Of a file as a whole, and behind as many errors as are told.
    if (message === "the file is empty" || /^YAML: it is nested too deeply$/.test(message)) return;
    if (at === problems.length - 1 && /^\d+ more errors$/.test(message)) return;
    demand(line !== null && line >= 1 && line <= linesMax && column! >= 1, `no place: ${printed}`);
  });
}

function checkNames(entries: readonly { readonly id: number; readonly name: string }[]): void {
  demand(entries.length > 0, "none of a kind");
  demand(
    entries.every(({ id }, at) => id === at),
    "an id is not the place in the list",
  );
  demand(new Set(entries.map(({ name }) => name)).size === entries.length, "a name is given twice");
  for (const { name } of entries) demand(!HARMFUL.test(name), `a harmful name: ${JSON.stringify(name)}`);
}

/** The listeners of a plan that are no free ports, by the spelling of their addresses. */
function checkListeners(plan: Plan): void {
  const taken = [plan.admin, ...plan.forwards].filter(({ port }) => port !== 0);
  const listeners = taken.map(({ address, port }) => `${address} ${port}`);
  demand(new Set(listeners).size === listeners.length, "two listen at one address");
}

function checkPlan(plan: Plan): void {
  checkNames(plan.forwards);
  checkNames(plan.upstreams);
  checkNames(plan.groups);
  checkListeners(plan);
  for (const { group, ratelimit } of plan.forwards) {
    demand(plan.groups[group] !== undefined, "a forward leads nowhere");
    demand(ratelimit === null || ratelimit.burst >= ratelimit.perSecond, "a burst below the rate");
  }
  for (const { members } of plan.groups) {
    demand(members.length > 0, "a group without members");
    for (const { upstream } of members) demand(plan.upstreams[upstream] !== undefined, "a missing member");
  }
  for (const { authorization, headers } of plan.upstreams) {
    const values = headers.map((operation) => (operation.op === "remove" ? "" : operation.value));
    for (const value of [authorization ?? "", ...values])
      demand(!/[^\t\x20-\x7e\x80-\xff]/.test(value), `a harmful value: ${JSON.stringify(value)}`);
  }
}

const KB = 1024;
const MB = 1024 * KB;
/** What the messages of the schema say of numbers that may also be written as text. */
const SIZES: Readonly<Record<string, readonly [min: number, max: number]>> = {
  header_bytes: [KB, MB],
  max_body_size: [KB, 2048 * MB],
  max_buffered_bytes: [16 * MB, 1024 * 1024 * MB],
  workers: [1, 64],
};

/** Every number of a configuration lies within the bounds that the schema names. */
function checkBounds(value: unknown, shape: Shape, key: string): void {
  if (shape.kind === "list")
    return (value as readonly unknown[]).forEach((item) => checkBounds(item, shape.item, key));
  if (shape.kind === "mapping") {
    for (const name in value as Mapping) {
      const child = shape.keys.get(name);
      demand(child !== undefined, `an unknown key: ${name}`);
      checkBounds((value as Mapping)[name], child, name);
    }
    return;
  }
  if (typeof value !== "number") return;
  const size = SIZES[key];
  const { min, max } = size === undefined ? shape.range! : { min: size[0], max: size[1] };
  demand(value >= min && value <= max, `${key} is ${value}`);
  demand(Number.isInteger(value) || /^(threshold|budget)$/.test(key), `${key} is ${value}`);
}

/** What `--test` shows holds nothing harmful, and no secret but in what the configuration itself makes public. */
function checkDescription(plan: Plan): void {
  let text = describePlan(plan, joinPath);
  demand(!HARMFUL.test(text.replaceAll("\n", "")), `a harmful description: ${JSON.stringify(text)}`);
  if (!SECRET.test(text)) return;
  const names = [...plan.forwards, ...plan.upstreams, ...plan.groups].map(({ name }) => name);
  for (const open of [...plan.upstreams.map(({ url }) => url), ...names]) text = text.replaceAll(open, "");
  demand(!SECRET.test(text), `a secret is shown: ${text}`);
}

/** A configuration with its defaults in place is one that says the same. */
function checkSame(config: Config, plan: Plan): void {
  const again = judgeTree(config, new Report(FILE));
  demand(again !== null && Bun.deepEquals(makePlan(again), plan), "another plan when loaded again");
}

/** A configuration of a tree, or null with proper errors. */
function judge(tree: unknown): Config | null {
  const report = new Report(FILE);
  const position = { line: 1, column: 1 };
  const place = { position, keyPosition: position, found: "it", hint: "", word: null, expanded: false };
  report.setPlace("", place);
  const config = judgeTree(tree, report);
  const errors = report.errors();
  checkProblems(errors, 1);
  checkProblems(report.warnings(), 1);
  for (const error of errors) demand(!SECRET.test(formatProblem(error)), `a secret: ${formatProblem(error)}`);
  demand(config !== null || errors.length > 0, "refused without an error");
  return errors.length === 0 ? config : null;
}

test(
  "a tree with anything in it gives a plan in which all is as it should be, or errors with their places",
  () => {
    let accepted = 0;
    const cases = tryManyCases("trees of configurations", (random) => {
      const config = judge(mutatedTree(random));
      if (config === null) return;
      accepted++;
      const plan = makePlan(config);
      checkPlan(plan);
      checkBounds(config, configShape, "");
      if (random.below(4) > 0) return;
      checkDescription(plan);
      checkSame(config, plan);
    });
    expect(accepted).toBeWithin(cases * 0.02, cases * 0.8);
  },
  MANY_CASES_TIMEOUT_MS,
);

test(
  "a tree in another order and with other numbers within the bounds is accepted",
  () => {
    tryManyCases("valid configurations", (random) => {
      const tree = harmlessTree(random);
      const config = judge(tree);
      demand(config !== null, `refused: ${JSON.stringify(tree)}`);
      checkPlan(makePlan(config));
    });
  },
  MANY_CASES_TIMEOUT_MS,
);

test(
  "a text with anything in it gives a plan in which all is as it should be, or errors with their places",
  () => {
    let refused = 0;
    const cases = tryManyCases(
      "texts of configurations",
      (random) => {
        const text = mutatedText(random);
        try {
          if (!checkText(text)) refused++;
        } catch (error) {
          throw new Error(`${String(error)} in ${JSON.stringify(text)}`, { cause: error });
        }
      },
      TEXT_COST,
    );
    // Were nearly all accepted or refused, the mutations would not test much.
    expect(refused).toBeWithin(cases * 0.3, cases * 0.97);
  },
  MANY_CASES_TIMEOUT_MS,
);

/** Loads a text; true when it was accepted. */
function checkText(text: string): boolean {
  const result = parseConfig(text, FILE, ENV);
  const problems = result.ok ? result.warnings : result.errors;
  checkProblems(problems, text.split("\n").length);
  const printed = problems.map(formatProblem).join("\n");
  const secret = keepsSecretsInPlace(text) ? SECRET : /canary/;
  demand(!secret.test(printed), `a secret is shown: ${printed}`);
  if (!result.ok) {
    demand(problems.length > 0, "refused without an error");
    return false;
  }
  const { config, plan } = result;
  checkPlan(plan);
  checkBounds(config, configShape, "");
  checkDescription(plan);
  checkSame(config, plan);
  const again = parseConfig(text, FILE, ENV);
  demand(again.ok && Bun.deepEquals(again.plan, plan), "another plan when loaded again");
  return true;
}

test("the texts are accepted as they are, so that mutants are refused for what was done to them", () => {
  for (const text of TEXTS) expect(parseConfig(text, FILE, ENV)).toMatchObject({ ok: true });
});
