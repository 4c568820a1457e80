import { expect, test } from "bun:test";

import { formatPath, formatProblem, parentPath, quote, shownKey } from "../../src/config/problem.ts";

test("a problem is printed as file, line, column, path and message", () => {
  const problem = {
    file: "config.yaml",
    line: 12,
    column: 7,
    path: "upstreams[0].auth.type",
    message: "found it",
  };
  expect(formatProblem(problem)).toBe("config.yaml:12:7: upstreams[0].auth.type: found it");
  expect(formatProblem({ ...problem, path: "" })).toBe("config.yaml:12:7: found it");
  expect(formatProblem({ ...problem, line: null, column: null, path: "" })).toBe("config.yaml: found it");
});

test("a path has its parent", () => {
  const path = formatPath(["upstreams", 1, "auth", "type"]);
  expect(path).toBe("upstreams[1].auth.type");
  expect(parentPath(path)).toBe("upstreams[1].auth");
  expect(parentPath("upstreams[1]")).toBe("upstreams");
  expect(parentPath("upstreams")).toBe("");
});

test("a key that is no plain word is quoted in a path, and cut where it may hold a value", () => {
  expect(formatPath(["a", "b-c_1"])).toBe("a.b-c_1");
  expect(formatPath(["a", "token:sk-canary"])).toBe('a["token..."]');
  expect(shownKey("sk-canary-sk-canary-sk-canary-sk-canary")).toBe("sk...");
  expect(shownKey("<<")).toBe("<<");
});

test("quoted text is short and cannot steer a terminal", () => {
  expect(quote("a\u001b[31m\u009b\u202e\u007f")).toBe('"a\\u001b[31m\\u009b\\u202e\\u007f"');
  expect(quote("x".repeat(61))).toBe(`"${"x".repeat(60)}..."`);
  expect(quote("x".repeat(60))).toBe(`"${"x".repeat(60)}"`);
});
