import { afterEach, describe, expect, test } from "bun:test";

import { isDebugLogged, log, logError, setLog } from "../../src/observe/log.ts";

let lines: string[] = [];

function collect(level: Parameters<typeof setLog>[0]): void {
  lines = [];
  setLog(level, (line) => lines.push(line));
}

afterEach(() => setLog("info", (line) => process.stderr.write(line)));

test("a line has time, level, message and fields", () => {
  collect("info");
  log("warn", "upstream rests", { upstream: "a b", for_s: 2.5, admin: true, none: null });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(
    /^\d{4}-\d\d-\d\dT[\d:.]{12}Z WARN upstream rests upstream="a b" for_s=2.5 admin=true none=null\n$/,
  );
});

test("lines below the level are left out", () => {
  for (const [level, expected] of [
    ["debug", 4],
    ["info", 3],
    ["warn", 2],
    ["error", 1],
  ] as const) {
    collect(level);
    for (const each of ["debug", "info", "warn", "error"] as const) log(each, "x");
    expect(lines).toHaveLength(expected);
    expect(isDebugLogged()).toBe(level === "debug");
  }
});

test("no value can begin a line of its own", () => {
  collect("info");
  log("info", "x", { a: "1\n2026-01-01T00:00:00.000Z ERROR forged", b: "\r\u2028\u0085\u001b[2J" });
  logError("broken", {}, new Error("first\nsecond"));
  for (const line of lines) expect(line.slice(0, -1)).toMatch(/^[\x20-\x7e]*$/);
  expect(lines).toHaveLength(2);
});

describe("an error is told with its stack, and without the data that the engine puts in its message", () => {
  const key = "hush5f2c";
  const keys = { first: key as unknown as () => void };
  const mistakes: [expected: string, mistake: () => unknown][] = [
    ["SyntaxError: JSON Parse error: Unexpected identifier", () => JSON.parse(key)],
    ["TypeError: Invalid header name: '...'", () => new Headers([[`${key} x`, ""]])],
    ["TypeError: keys.first is not a function. (In '...' is", () => keys.first()],
    ["is not an object (evaluating 'nothing.length')", () => ((nothing: string) => nothing.length)(null!)],
    ["Error: a bug of ours", () => raise(new Error("a bug of ours"))],
    ["a thrown string", () => raise(key)],
  ];
  test.each(mistakes)("%s", (expected, mistake) => {
    collect("info");
    try {
      mistake();
    } catch (error) {
      logError("broken", {}, error);
      if (error instanceof Error) expect(lines[0]).toContain("log.test.ts");
    }
    expect(lines[0]).toContain(expected);
    expect(lines[0]).not.toContain(key);
  });
});

function raise(what: unknown): never {
  throw what;
}
