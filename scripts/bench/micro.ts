import { runToEnd } from "./children.ts";

/** In this folder. */
export const SCRIPTS: readonly string[] = ["primitives.ts", "policies.ts"];
/** Those that take seconds. */
const SCRIPTS_QUICK = ["primitives.ts"];
const LIMIT_MS = 180_000;

/** What one micro-benchmark printed. */
export interface MicroResult {
  readonly script: string;
  readonly lines: readonly string[];
}

/** Runs the micro-benchmarks, each in a process of its own. One that fails says so in its lines. */
export async function runMicro(quick: boolean, say: (line: string) => void): Promise<MicroResult[]> {
  const results: MicroResult[] = [];
  for (const script of quick ? SCRIPTS_QUICK : SCRIPTS) {
    say(`[micro] ${script}`);
    const path = new URL(`./${script}`, import.meta.url).pathname;
    const { status, stdout, stderr } = await runToEnd([process.execPath, path], "/", LIMIT_MS);
    const text = status === 0 ? stdout : `failed with ${status}\n${stderr}`;
    results.push({ script, lines: text.trimEnd().split("\n") });
  }
  return results;
}

/** The output of all of them, under a title. */
export function formatMicro(results: readonly MicroResult[]): string {
  const parts = results.map(({ script, lines }) => [script, ...lines.map((line) => `  ${line}`)].join("\n"));
  return `(g) policies and primitives\n${parts.join("\n")}`;
}
