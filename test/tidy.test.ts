import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

import { Glob } from "bun";

const ROOT = join(import.meta.dir, "..");
const LINES_MAX = 300;
const FUNCTION_LINES_MAX = 70;

/** Top to bottom: what stands higher may import what stands lower, never the other way round. */
const LAYERS = [
  "main",
  "worker",
  "supervisor",
  "cli",
  "admin",
  "demo",
  "proxy",
  "limits",
  "balancer",
  "observe",
  "llm",
  "http",
  "config",
  "memory",
  "shared",
];

interface Source {
  readonly path: string;
  readonly text: string;
}

const sources: Source[] = [...new Glob("src/**/*.ts").scanSync(ROOT)]
  .sort()
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));

/** `src/proxy/relay.ts` -> `proxy`, `src/main.ts` -> `main`. */
function layerOf(path: string): string {
  return path.split("/")[1]!.replace(/\.ts$/, "");
}

function importsOf({ path, text }: Source): { specifier: string; target: string }[] {
  const found = [...text.matchAll(/^\s*(?:import|export)\b([^;"']*?)from\s*"([^"]+)"|import\("([^"]+)"\)/gm)];
  return found.map((match) => {
    const specifier = match[2] ?? match[3]!;
    return {
      specifier,
      target: normalize(join(dirname(path), specifier)),
    };
  });
}

/** Lengths of functions and methods, told by the brace that closes at the indentation they began with. */
function longFunctions({ path, text }: Source): string[] {
  const lines = text.split("\n");
  const long: string[] = [];
  lines.forEach((line, start) => {
    const head =
      /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\b|(?:private |static |async |get |set |#)*[\w#]+\([^)]*\).*\{$|(?:const|let) \w+ = (?:async )?\(.*\{$)/.exec(
        line,
      );
    if (head === null || !line.trimEnd().match(/[{(]$/)) return;
    const end = lines.findIndex((other, i) => i > start && new RegExp(`^${head[1]}\\}`).test(other));
    if (end - start + 1 > FUNCTION_LINES_MAX) long.push(`${path}:${start + 1} has ${end - start + 1} lines`);
  });
  return long;
}

describe("the sources", () => {
  test("are found", () => {
    expect(sources.length).toBeGreaterThan(50);
  });

  test("import only from their own folder and from layers below", () => {
    const wrong: string[] = [];
    for (const source of sources) {
      const own = LAYERS.indexOf(layerOf(source.path));
      if (own < 0) wrong.push(`${source.path}: no layer named ${layerOf(source.path)}`);
      for (const { specifier, target } of importsOf(source)) {
        if (!specifier.startsWith(".") || !target.startsWith("src/")) continue;
        if (LAYERS.indexOf(layerOf(target)) < own) wrong.push(`${source.path} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("have no file over 300 lines", () => {
    expect(
      sources.filter(({ text }) => text.split("\n").length - 1 > LINES_MAX).map(({ path }) => path),
    ).toEqual([]);
  });

  test("have no function over 70 lines", () => {
    expect(sources.flatMap(longFunctions)).toEqual([]);
  });

  test("touch Atomics only in memory/", () => {
    const users = sources.filter(({ text }) => /\bAtomics\./.test(text)).map(({ path }) => layerOf(path));
    expect([...new Set(users)]).toEqual(["memory"]);
  });

  test("import zod only in config/", () => {
    const users = sources.filter((source) => importsOf(source).some(({ specifier }) => specifier === "zod"));
    expect([...new Set(users.map(({ path }) => layerOf(path)))]).toEqual(["config"]);
  });

  test("name the fetch transport only where transports are chosen", () => {
    const users = sources.filter(
      ({ path, text }) =>
        !path.startsWith("src/proxy/transport/") && /\bfetch\(/.test(text) && !path.startsWith("src/admin/"),
    );
    expect(users.map(({ path }) => path)).toEqual([]);
  });
});
