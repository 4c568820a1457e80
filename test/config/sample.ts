import { expect } from "bun:test";

import { type LoadResult, parseConfig } from "../../src/config/load.ts";
import { formatProblem, type Problem } from "../../src/config/problem.ts";
import type { Config } from "../../src/config/schema.ts";

/** A valid configuration that has most keys; tests replace a line of it. */
export const sampleYaml = `http_server:
  forwards:
    - name: main
      port: 3000
      address: 127.0.0.1
      upstream_group: pool
      ratelimit: { enabled: true, per_second: 10, burst: 20 }
      timeout:
        connect: 5
      max_body_size: 64MB
    - name: side
      port: 3001
      upstream_group: pool
  admin:
    port: 9000
    address: 127.0.0.1
upstreams:
  - name: alpha
    url: https://alpha.example/v1
    auth:
      type: bearer
      token: sk-literal
    headers:
      - op: insert
        key: X-Extra
        value: extra
    breaker:
      threshold: 0.5
  - name: beta
    url: http://127.0.0.1:8000
upstream_groups:
  - name: pool
    upstreams:
      - name: alpha
        weight: 2
      - name: beta
    balance:
      strategy: random
    http_client:
      agent: Sample/1
      stream: true
      timeout:
        connect: 7
      retry:
        enabled: true
      proxy:
        enabled: false
        url: http://proxy.example:3128
`;

export const sampleFile = "/nowhere/config.yaml";

export type Env = Readonly<Record<string, string>>;

/** Loads a text as if it stood in `sampleFile`. */
export function load(text: string, env: Env = {}): LoadResult {
  return parseConfig(text, sampleFile, env);
}

/** `sampleYaml` with one piece replaced. Several pairs are replaced one after the other. */
export function sampleWith(...changes: readonly (readonly [from: string, to: string])[]): string {
  let text = sampleYaml;
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`the sample does not hold ${JSON.stringify(from)}`);
    text = text.replace(from, () => to);
  }
  return text;
}

/** The result of a valid text; fails the test with the errors otherwise. */
export function loadValid(text: string, env: Env = {}): LoadResult & { ok: true } {
  const result = load(text, env);
  if (!result.ok) throw new Error(result.errors.map(formatProblem).join("\n"));
  return result;
}

export function errorsOf(text: string, env: Env = {}): readonly Problem[] {
  const result = load(text, env);
  return result.ok ? [] : result.errors;
}

/**
 * Takes a text in which `«` marks the place of its only error. Expects the error there, at this path and with
 * this message.
 */
export function expectErrorAtMark(marked: string, path: string, message: string, env: Env = {}): void {
  const offset = marked.indexOf("«");
  if (offset === -1) throw new Error("no place is marked");
  const before = marked.slice(0, offset).split("\n");
  const place = { line: before.length, column: before.at(-1)!.length + 1 };
  const errors = errorsOf(marked.replace("«", ""), env);
  expect(errors).toEqual([{ file: sampleFile, ...place, path, message }]);
}

/** A valid configuration as a plain value, for tests that set a key. */
export function smallConfig(): Record<string, unknown> {
  return {
    http_server: { forwards: [{ name: "f", upstream_group: "g" }], admin: {} },
    upstreams: [{ name: "u", url: "http://u.example" }],
    upstream_groups: [{ name: "g", upstreams: [{ name: "u" }] }],
  };
}

/** Sets the value at a path such as `upstreams[0].auth.type`, making what lies between. */
export function setAt(root: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split(/[.[\]]+/).filter((key) => key !== "");
  let parent: Record<string, unknown> = root;
  for (const key of keys.slice(0, -1)) {
    parent[key] ??= {};
    parent = parent[key] as Record<string, unknown>;
  }
  parent[keys.at(-1)!] = value;
}

/** The value at a path of a configuration; undefined where there is none. */
export function valueAt(config: Config, path: string): unknown {
  const keys = path.split(/[.[\]]+/).filter((key) => key !== "");
  return keys.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], config);
}

/** Loads a plain value; JSON is YAML. */
export function loadValue(value: unknown, env: Env = {}): LoadResult {
  return load(JSON.stringify(value), env);
}
