import { expect, test } from "bun:test";

import { parseConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { sampleYaml } from "./sample.ts";

const iterations = 600;
/** Far more than it takes: a machine under load is no reason to fail. */
const timeoutMs = 60_000;
const env = {
  TOKEN: "canary-token",
  PORT: "3000",
  URL: "http://canary-user:canary@h/?canary",
  BAD: "canary\n",
};

const seedText = sampleYaml
  .replace("sk-literal", "${TOKEN}")
  .replace("port: 3000", "port: ${PORT}")
  .replace("http://127.0.0.1:8000", "${URL}")
  .replace("value: extra", "value: ${TOKEN}");

/** Pieces that mean something to YAML, to the references or to the schema. */
const pieces = [
  "\t",
  " ",
  "  ",
  "\n",
  "\r\n",
  ":",
  ": ",
  "- ",
  "-",
  "[",
  "]",
  "{",
  "}",
  ",",
  "'",
  '"',
  "#",
  "&a ",
  "*a",
  "!",
  "!!str ",
  "|\n",
  ">\n",
  "%",
  "@",
  "`",
  "?",
  "~",
  "null",
  "true",
  "0",
  "-1",
  "1e400",
  ".inf",
  "0x10",
  "$",
  "${",
  "${}",
  "${TOKEN}",
  "${BAD}",
  "${URL}",
  "${file:/}",
  "$${",
  "}",
  "---\n",
  "...\n",
  "<<: ",
  "__proto__: ",
  "\u0000",
  "\u001b",
  "\u00e9",
  "\ud83d\ude00",
  "\ud800",
  "\ufeff",
  "\u2028",
  "name: ",
  "auth: ",
  "enabled: ",
  "port: 3001\n",
  "upstreams:\n",
  "upstream_groups:\n",
];

/** A small generator of pseudo-random numbers (mulberry32), so that a seed repeats a run. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

function mutate(text: string, below: (limit: number) => number): string {
  const at = below(text.length + 1);
  const lines = text.split("\n");
  const line = below(lines.length);
  switch (below(8)) {
    case 0:
      return text.slice(0, at) + text.slice(at + 1 + below(4));
    case 1:
      return text.slice(0, at) + pieces[below(pieces.length)] + text.slice(at);
    case 2:
      return text.slice(0, at) + pieces[below(pieces.length)] + text.slice(at + 1);
    case 3:
      return lines.toSpliced(line, 1).join("\n");
    case 4:
      return lines.toSpliced(below(lines.length), 0, lines[line]!).join("\n");
    case 5:
      return lines.with(line, " ".repeat(below(10)) + lines[line]!.trimStart()).join("\n");
    case 6:
      return lines.with(line, lines[line]!.replace(/: .*/, `: ${pieces[below(pieces.length)]}`)).join("\n");
    default:
      return text.slice(0, at) + String.fromCharCode(below(0x250)) + text.slice(at);
  }
}

test(
  "mutations of a valid configuration never throw, and every error has a place and shows no secret",
  () => {
    const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
    const below = random(seed);
    let refused = 0;
    for (let i = 0; i < iterations; i++) {
      let text = seedText;
      for (let count = 1 + below(4); count > 0; count--) text = mutate(text, below);
      const failure = judge(text);
      if (failure === null) continue;
      if (failure !== "refused")
        throw new Error(`FUZZ_SEED=${seed}, case ${i}: ${failure}\n${JSON.stringify(text)}`);
      refused++;
    }
    // Were nearly all accepted or refused, the mutations would not test much.
    expect(refused).toBeWithin(iterations * 0.3, iterations * 0.99);
  },
  timeoutMs,
);

/** Gives null for an accepted text, `refused` for one with proper errors, else what is wrong with the result. */
function judge(text: string): string | null {
  try {
    const result = parseConfig(text, "fuzz.yaml", env);
    const problems = result.ok ? result.warnings : result.errors;
    const printed = problems.map(formatProblem).join("\n");
    if (/canary/.test(printed)) return `a secret is shown: ${printed}`;
    if (/undefined|\[object|NaN/.test(printed)) return `a message is broken: ${printed}`;
    if (result.ok) return null;
    if (result.errors.length === 0) return "refused without an error";
    const lineCount = text.split("\n").length;
    const lost = result.errors.find(
      (error) => error.line === null || error.line < 1 || error.line > lineCount,
    );
    if (lost !== undefined && lost.message !== "the file is empty") return `no place: ${formatProblem(lost)}`;
    return "refused";
  } catch (error) {
    return `thrown: ${String(error)}`;
  }
}
