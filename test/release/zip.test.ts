import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { zip, type ZipEntry } from "../../scripts/release/zip.ts";

const directory = mkdtempSync(join(tmpdir(), "llmproxy-zip-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const time = new Date("2026-03-04T05:06:08Z");
const bytesOf = (text: string) => new TextEncoder().encode(text);
const entries: readonly ZipEntry[] = [
  { path: "top/run", bytes: bytesOf("#!/bin/sh\necho it runs\n"), executable: true },
  { path: "top/text.md", bytes: bytesOf("long ".repeat(10_000)), executable: false },
  { path: "top/empty", bytes: new Uint8Array(), executable: false },
  { path: "top/noise", bytes: crypto.getRandomValues(new Uint8Array(65_536)), executable: false },
];

test("the same entries give the same bytes, in whatever order they come", () => {
  const archive = Buffer.from(zip(entries, time));
  expect(archive.equals(zip([...entries].reverse(), time))).toBe(true);
  expect(archive.equals(zip(entries, new Date("2026-03-04T05:06:10Z")))).toBe(false);
});

test("names that are not plain are refused", () => {
  for (const path of ["", "a b", "ä", "a\nb"])
    expect(() => zip([{ path, bytes: new Uint8Array(), executable: false }], time)).toThrow(
      "not a plain name",
    );
});

const unzip = Bun.which("unzip");
if (unzip === null) console.log("zip: not unpacked, as there is no unzip");

describe.skipIf(unzip === null)("unzip", () => {
  const file = join(directory, "a.zip");
  writeFileSync(file, zip(entries, time));
  const run = (...args: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([unzip!, ...args], { env: { TZ: "UTC" } });
    return { exitCode, output: `${stdout.toString()}${stderr.toString()}` };
  };

  test("finds the archive whole", () => {
    const { exitCode, output } = run("-t", file);
    expect(output).toContain("No errors detected");
    expect(exitCode).toBe(0);
  });

  test("gives the files back, with their rights and their time", () => {
    expect(run("-q", file, "-d", directory)).toEqual({ exitCode: 0, output: "" });
    for (const { path, bytes, executable } of entries) {
      const unpacked = join(directory, path);
      expect(readFileSync(unpacked).equals(bytes)).toBe(true);
      expect(statSync(unpacked).mode & 0o777).toBe(executable ? 0o755 : 0o644);
      expect(statSync(unpacked).mtime).toEqual(time);
    }
    expect(Bun.spawnSync([join(directory, "top/run")]).stdout.toString()).toBe("it runs\n");
  });
});
