import { dirname } from "node:path";

import { checkTree } from "./checks.ts";
import { reportIssues } from "./issues.ts";
import { makePlan, type Plan } from "./plan.ts";
import type { Problem } from "./problem.ts";
import { readTextFile } from "./read-file.ts";
import { Report } from "./report.ts";
import { configShape } from "./schema-shape.ts";
import { type Config, configSchema } from "./schema.ts";
import { SecretExpander } from "./secrets.ts";
import { readTree, unreadable } from "./tree.ts";
import { parseYaml } from "./yaml.ts";

/**
 * A valid configuration with its plan, or everything that is wrong with it, in the order of the file. `files`: those
 * that `${file:...}` named, with their full paths.
 */
export type LoadResult = { readonly files: readonly string[] } & (
  | { readonly ok: true; readonly config: Config; readonly plan: Plan; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly errors: readonly Problem[] }
);

export type Environment = Readonly<Record<string, string | undefined>>;

/** Largest configuration file; a larger one is refused before it is read. */
export const configBytesMax = 1024 * 1024;

/**
 * Reads and validates a configuration file. `env` gives the values of `${NAME}`; relative paths in `${file:...}`
 * start at the file's directory. Never throws for what a file may hold or be.
 */
export function loadConfig(file: string, env: Environment): LoadResult {
  const read = readTextFile(file, configBytesMax);
  if (read.ok) return parseConfig(read.text, file, env);
  const error = { file, line: null, column: null, path: "", message: read.reason };
  return { ok: false, errors: [error], files: [] };
}

/** As `loadConfig`, for a text that is at hand; `file` is the name for messages and for relative paths. */
export function parseConfig(text: string, file: string, env: Environment): LoadResult {
  const report = new Report(file);
  const expander = new SecretExpander({ env, directory: dirname(file) });
  const config = readConfig(text, expander, report);
  const { files } = expander;
  const errors = report.errors();
  if (config === null || errors.length > 0) return { ok: false, errors, files };
  return { ok: true, config, plan: makePlan(config), warnings: report.warnings(), files };
}

/** Gives null, or a configuration with errors in `report`, when something is wrong. */
function readConfig(text: string, expander: SecretExpander, report: Report): Config | null {
  const yaml = parseYaml(text);
  if (!yaml.ok) {
    report.error("", yaml.position, yaml.message);
    return null;
  }
  const tree = readTree(yaml.document, yaml.positionAt, configShape, expander, report);
  // Without a walk to the end there is nothing to judge: what was not reached would be called missing.
  return tree === unreadable ? null : judgeTree(tree, report);
}

/** Holds a tree against the schema and the rules between keys. Gives null when the schema refuses it. */
export function judgeTree(tree: unknown, report: Report): Config | null {
  const parsed = configSchema.safeParse(tree);
  if (!parsed.success) reportIssues(parsed.error.issues, configShape, report);
  checkTree(tree, report);
  return parsed.success ? parsed.data : null;
}
