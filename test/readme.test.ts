import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { usage } from "../src/cli.ts";
import { parseConfig } from "../src/config/load.ts";
import { DEFINITIONS } from "../src/observe/definitions.ts";

const ROOT = join(import.meta.dir, "..");
const readme = readFileSync(join(ROOT, "README.md"), "utf8");

test("the configurations in the README are valid", () => {
  const blocks = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
  const whole = blocks.filter((block) => block.includes("http_server:"));
  expect(whole.length).toBeGreaterThan(0);
  for (const block of whole) {
    const loaded = parseConfig(block, "README.md", { OPENAI_API_KEY: "x" });
    expect(loaded.ok ? [] : loaded.errors).toEqual([]);
  }
});

test("the files that the README names exist", () => {
  const named = [...readme.matchAll(/`((?:src|test|scripts|examples)\/[^`\s]*)`/g)].map((match) => match[1]!);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test("the npm scripts that the README names exist", () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const named = [...readme.matchAll(/^npm (?:run )?([a-z]+)/gm)].map((match) => match[1]!);
  expect(named).toContain("test");
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});

test("the options that the README names are in the usage", () => {
  // Where it is the command, not the name of a unit or an image.
  const named = [...readme.matchAll(/(?:^|[`/]|sudo )llmproxyd (--[a-z-]+)/gm)].map((match) => match[1]!);
  expect(named.length).toBeGreaterThan(2);
  expect(named.filter((option) => !usage.includes(option))).toEqual([]);
});

test("the metrics that the README names exist", () => {
  const section = readme.slice(readme.indexOf("## Watch it"), readme.indexOf("## Ways to upstreams"));
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  const named = rows.flatMap((row) =>
    [...row.matchAll(/`([a-z_]+)`/g)].map((match) => `llmproxy_${match[1]!}`),
  );
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((name) => !(name in DEFINITIONS))).toEqual([]);
});
