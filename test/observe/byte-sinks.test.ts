import { describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { identityOf } from "../../src/observe/byte-sinks.ts";

const LINES = 8000;
const WRITER = new URL("../support/line-writer.ts", import.meta.url).pathname;

interface Report {
  readonly dropped: number;
}

/** Runs the writer of numbered lines with this standard output. */
function spawnWriter(stdout: "pipe" | number, flushMs: number) {
  return Bun.spawn([process.execPath, WRITER, String(LINES), String(flushMs)], {
    stdout,
    stderr: "pipe",
    env: {},
  });
}

async function reportOf(child: ReturnType<typeof spawnWriter>): Promise<Report> {
  const [text, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
  expect(exitCode).toBe(0);
  return JSON.parse(text) as Report;
}

/** Numbers of the lines, each of which must be whole. */
function numbersOf(text: string): number[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const number = Number(/^line (\d+) x*$/.exec(line)?.[1]);
      expect(line).toBe(`line ${number} ${"x".repeat(number % 1500)}`);
      return number;
    });
}

const all = Array.from({ length: LINES }, (_, i) => i);

describe("lines written to", () => {
  test("a pipe that is read come out whole and in order", async () => {
    const child = spawnWriter("pipe", 20_000);
    const text = await (child.stdout as ReadableStream<Uint8Array>).text();
    expect(numbersOf(text)).toEqual(all);
    expect((await reportOf(child)).dropped).toBe(0);
  });

  test("a pipe that nobody reads neither block nor kill the writer, which comes to its end", async () => {
    const directory = mkdtempSync(join(tmpdir(), "llmproxy-test-"));
    const path = join(directory, "pipe");
    expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
    // Open at both ends, so that it can be written to and is never read.
    const fd = openSync(path, "r+");
    expect((await reportOf(spawnWriter(fd, 50))).dropped).toBeGreaterThan(0);
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });

  test("a pipe whose reader has gone are dropped and counted", async () => {
    const child = spawnWriter("pipe", 20_000);
    await (child.stdout as ReadableStream<Uint8Array>).cancel();
    expect((await reportOf(child)).dropped).toBeGreaterThan(LINES - 500);
  });

  test("a file come out whole and in order", async () => {
    const directory = mkdtempSync(join(tmpdir(), "llmproxy-test-"));
    const path = join(directory, "lines");
    const fd = openSync(path, "a");
    expect((await reportOf(spawnWriter(fd, 20_000))).dropped).toBe(0);
    closeSync(fd);
    expect(numbersOf(readFileSync(path, "utf8"))).toEqual(all);
    rmSync(directory, { recursive: true });
  });

  test.skipIf(process.platform !== "linux")("a full disk are dropped and counted", async () => {
    const fd = openSync("/dev/full", "w");
    expect(await reportOf(spawnWriter(fd, 20_000))).toMatchObject({ dropped: LINES });
    closeSync(fd);
  });
});

test("two descriptors of the same file are known to be", () => {
  const [a, b, other] = [openSync("/dev/null", "w"), openSync("/dev/null", "w"), openSync("/dev/zero", "r")];
  expect(identityOf(a)).toBe(identityOf(b));
  expect(identityOf(a)).not.toBe(identityOf(other));
  for (const fd of [a, b, other]) closeSync(fd);
  expect(identityOf(a)).toBeNull();
});
