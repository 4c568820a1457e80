import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import { type LoadResult, parseConfig } from "../../src/config/load.ts";

/** What loading gave, and the references to secrets that the text holds. */
export interface LoadedExample {
  readonly loaded: LoadResult;
  /** Names of environment variables. */
  readonly variables: readonly string[];
  /** Paths of files. */
  readonly files: readonly string[];
}

export const fakeSecret = "fake-secret-of-the-test";

/** Loads a configuration as llmproxyd does, with a fake behind every secret that it refers to. */
export function loadExample(name: string, text: string): LoadedExample {
  const variables = [...text.matchAll(/(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g)].map((match) => match[1]!);
  const files = [...text.matchAll(/(?<!\$)\$\{file:([^}]+)\}/g)].map((match) => match[1]!);
  const directory = mkdtempSync(join(tmpdir(), "llmproxy-example-"));
  try {
    for (const file of files) writeFileSync(join(directory, basename(file)), `${fakeSecret}\n`);
    const here = text.replaceAll(
      /(?<!\$)\$\{file:([^}]+)\}/g,
      (_, file: string) => `\${file:${join(directory, basename(file))}}`,
    );
    const env = Object.fromEntries(variables.map((variable) => [variable, fakeSecret]));
    return { loaded: parseConfig(here, name, env), variables, files };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The first errors and warnings in words; empty for a configuration without fault. */
export function complaintsOf({ loaded }: LoadedExample): readonly string[] {
  const problems = loaded.ok ? loaded.warnings : loaded.errors;
  return problems.map(({ line, path, message }) => `${line}: ${path}: ${message}`);
}
