import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";

import { loadConfig, parseConfig } from "../../src/config/load.ts";
import { configShape, type ScalarShape, type Shape } from "../../src/config/schema-shape.ts";

const path = join(import.meta.dir, "../../config.default.yaml");
const text = readFileSync(path, "utf8");
const lines = text.split("\n");

/** Keys that the file shows in a comment, since they exclude others. */
const commentedOut = [
  "http_server.forwards[].default_group",
  "upstreams[].auth.username",
  "upstreams[].auth.password",
];

/** Paths of the schema's values, such as `upstreams[].auth.type`. */
function scalarsOf(shape: Shape, path: string): [path: string, shape: ScalarShape][] {
  if (shape.kind === "scalar") return [[path, shape]];
  if (shape.kind === "list") return scalarsOf(shape.item, `${path}[]`);
  return [...shape.keys].flatMap(([key, child]) => scalarsOf(child, path === "" ? key : `${path}.${key}`));
}

/** The line (from 1) where each path first stands, and the values written there. */
function activeKeys(): Map<string, { line: number; value: unknown }> {
  const counter = new LineCounter();
  const found = new Map<string, { line: number; value: unknown }>();
  const walk = (node: unknown, path: string): void => {
    if (isSeq(node)) for (const item of node.items) walk(item, `${path}[]`);
    if (isScalar(node) && path.endsWith("[]")) found.set(path, { line: 0, value: node.value });
    if (!isMap(node)) return;
    for (const { key, value } of node.items) {
      if (!isScalar(key)) continue;
      const child = path === "" ? String(key.value) : `${path}.${key.value}`;
      const line = counter.linePos(key.range?.[0] ?? 0).line;
      if (!found.has(child)) found.set(child, { line, value: isScalar(value) ? value.value : null });
      walk(value, child);
    }
  };
  walk(parseDocument(text, { lineCounter: counter }).contents, "");
  return found;
}

/** What the comment on a line and the comment lines directly above it say. */
function commentAt(line: number): string {
  const comment = [/#(.*)/.exec(lines[line - 1] ?? "")?.[1] ?? ""];
  for (let i = line - 2; /^\s*#/.test(lines[i] ?? ""); i--) comment.unshift(lines[i]!.replace(/^\s*#/, ""));
  return comment.join(" ").replace(/\s+/g, " ").trim();
}

const active = activeKeys();
const scalars = scalarsOf(configShape, "").filter(([path]) => !commentedOut.includes(path));

test("it is valid with an empty environment, without a warning", () => {
  expect(loadConfig(path, {})).toMatchObject({ ok: true, warnings: [] });
});

test("it takes its secrets from the environment", () => {
  const result = loadConfig(path, { OPENAI_API_KEY: "sk-1", ANTHROPIC_API_KEY: "sk-2" });
  expect(result.ok && result.plan.upstreams.map((upstream) => upstream.authorization)).toEqual([
    null,
    "Bearer sk-1",
    null,
  ]);
  expect(result.ok && result.plan.upstreams[2]?.headers[0]).toEqual({
    op: "replace",
    key: "x-api-key",
    value: "sk-2",
  });
});

test("every key of the schema is in it", () => {
  for (const [path] of scalars) expect(active.has(path) ? path : `${path} is missing`).toBe(path);
  for (const path of commentedOut) {
    const key = path.slice(path.lastIndexOf(".") + 1);
    expect(
      lines.some((line) => new RegExp(`^\\s*# ${key}: \\S`).test(line)) ? path : `${path} is missing`,
    ).toBe(path);
  }
});

test("what is commented out is valid when it is put in", () => {
  const put = text
    .replace("# default_group: claude\n      upstream_group: claude", "default_group: claude")
    .replace(
      /type: bearer\n.*\n.*\n\s*# (username: .*)\n\s*# password: .*/,
      "type: basic\n      $1\n      password: ${P}",
    );
  expect(put).toContain("\n      username: gateway\n      password: ${P}");
  expect(parseConfig(put, path, { P: "x" })).toMatchObject({ ok: true });
});

test.each(scalars.filter(([, shape]) => shape.fallback !== undefined))(
  "the stated default of %s is right",
  (path, shape) => {
    const stated = /\b[Dd]efault (\S+?)(?=$|[,;:.]?(\s|$))/.exec(commentAt(active.get(path)!.line))?.[1];
    const bytes = stated?.replace(/^(\d+)([KM])B$/, (_, number: string, unit: string) =>
      String(Number(number) * (unit === "K" ? 1024 : 1024 ** 2)),
    );
    expect(`${path}: ${bytes}`).toBe(`${path}: ${shape.fallback}`);
  },
);

test.each(scalars.filter(([, shape]) => shape.range !== null))(
  "the stated range of %s is right",
  (path, shape) => {
    const { min, max } = shape.range!;
    // For a port, 0 is said apart from the range.
    const range = path.endsWith(".port") ? `${min + 1}-${max}, or 0` : `${min}-${max}`;
    expect(commentAt(active.get(path)!.line)).toContain(range);
  },
);
