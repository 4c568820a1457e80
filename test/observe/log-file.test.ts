import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { LineOutput } from "../../src/observe/line-output.ts";
import { LogFile } from "../../src/observe/log-file.ts";
import { eventually } from "../support/wait.ts";

let directory: string;
let path: string;
let file: LogFile;
let output: LineOutput;
let written = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "llmproxy-test-"));
  path = join(directory, "access.log");
  file = new LogFile(path);
  output = new LineOutput(file);
  written = 0;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function writeLine(): Promise<void> {
  output.write(Buffer.from(`line ${written++}\n`), (dropped) => {
    if (dropped > 0) throw new Error("a line was dropped");
  });
  await output.flush(10_000);
}

const linesIn = (name: string) => readFileSync(join(directory, name), "utf8").split("\n").length - 1;

/** Writes on until a file is there again under the name. */
async function writeUntilReopened(): Promise<void> {
  await eventually("the file is opened again", async () => {
    await writeLine();
    return existsSync(path);
  });
}

describe("a log file", () => {
  test("is made, for nobody else to read, and appended to", async () => {
    await writeLine();
    const again = new LineOutput(new LogFile(path));
    again.write(Buffer.from("more\n"), () => {});
    await again.flush(10_000);
    expect(readFileSync(path, "utf8")).toBe("line 0\nmore\n");
    expect(statSync(path).mode & 0o007).toBe(0);
  });

  test("that was moved away is followed by a new one under the name, without a line lost", async () => {
    await writeLine();
    renameSync(path, join(directory, "access.log.1"));
    await writeUntilReopened();
    await writeLine();
    expect(linesIn("access.log.1")).toBeGreaterThan(0);
    expect(linesIn("access.log")).toBeGreaterThan(0);
    expect(linesIn("access.log.1") + linesIn("access.log")).toBe(written);
  });

  test("that was deleted is made anew", async () => {
    await writeLine();
    unlinkSync(path);
    await writeUntilReopened();
    expect(linesIn("access.log")).toBeGreaterThan(0);
  });

  test("is opened anew on demand, at once and without a line", async () => {
    await writeLine();
    renameSync(path, join(directory, "access.log.1"));
    file.reopen();
    output.write(Buffer.from(""), () => {});
    await eventually("there is a new file", () => existsSync(path));
    await writeLine();
    expect([linesIn("access.log.1"), linesIn("access.log")]).toEqual([1, 1]);
  });

  test("goes on in the old file while the name cannot be opened, and follows when it can", async () => {
    await writeLine();
    renameSync(path, join(directory, "access.log.1"));
    mkdirSync(path);
    file.reopen();
    await writeLine();
    expect(linesIn("access.log.1")).toBe(2);
    rmSync(path, { recursive: true });
    await writeUntilReopened();
    expect(linesIn("access.log.1") + linesIn("access.log")).toBe(written);
  });

  test("does not leave descriptors behind when it is opened again and again", async () => {
    const open = () => new Bun.Glob("*").scanSync({ cwd: "/proc/self/fd", onlyFiles: false });
    if (!existsSync("/proc/self/fd")) return;
    const before = [...open()].length;
    for (let i = 0; i < 50; i++) {
      renameSync(path, join(directory, `access.log.${i}`));
      file.reopen();
      await writeLine();
    }
    await eventually("the old ones are closed", () => [...open()].length <= before + 2);
  });

  test("that cannot be opened at the start is an error with a code", () => {
    expect(() => new LogFile(join(directory, "no", "such", "directory"))).toThrow(
      expect.objectContaining({ code: "ENOENT" }),
    );
  });
});

test("a closed file has what was under way, and takes nothing more", async () => {
  let dropped = 0;
  const onDropped = (lines: number) => {
    dropped += lines;
  };
  const line = `${"x".repeat(1_000_000)}\n`;
  output.write(Buffer.from(line), onDropped);
  const closed = file.close();
  output.write(Buffer.from("late\n"), onDropped);
  await Promise.all([closed, output.flush(10_000)]);
  expect([readFileSync(path, "latin1") === line, dropped]).toEqual([true, 1]);
});
