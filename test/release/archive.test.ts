import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { archiveName, hostTarget, targets } from "../../scripts/release/targets.ts";
import { tryArchive } from "../../scripts/release/try-archive.ts";
import { zip } from "../../scripts/release/zip.ts";
import { binary } from "../support/binary.ts";

const root = join(import.meta.dir, "../..");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const directory = mkdtempSync(join(tmpdir(), "llmproxy-archive-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** As the release makes it, but not compressed. */
function makeArchive(executable: Uint8Array): string {
  const file = join(directory, "a.zip");
  const entries = [
    { path: "top/llmproxyd", bytes: executable, executable: true },
    {
      path: "top/config.default.yaml",
      bytes: readFileSync(join(root, "config.default.yaml")),
      executable: false,
    },
  ];
  writeFileSync(file, zip(entries, new Date(0), 0));
  return file;
}

test("there are six targets, and archives with names of their own", () => {
  expect(targets.map((target) => archiveName(target, "1.0.0"))).toEqual([
    "llmproxyd-Linux-x64-1.0.0",
    "llmproxyd-Linux-arm64-1.0.0",
    "llmproxyd-Linux-musl-x64-1.0.0",
    "llmproxyd-Linux-musl-arm64-1.0.0",
    "llmproxyd-Darwin-x64-1.0.0",
    "llmproxyd-Darwin-arm64-1.0.0",
  ]);
});

test("this machine has one of them", () => {
  expect(hostTarget()).toMatchObject({ arch: process.arch });
});

test("the executable does not tell where it was built", () => {
  expect(readFileSync(binary).includes(root)).toBe(false);
  const map = `${binary}.map`;
  if (!existsSync(map)) return;
  const { sources } = JSON.parse(readFileSync(map, "utf8")) as { sources: string[] };
  expect(sources.filter((source) => !/^(src|node_modules)\/|^package\.json$/.test(source))).toEqual([]);
});

const unzip = Bun.which("unzip");
if (unzip === null) console.log("archive: not unpacked, as there is no unzip");

describe.skipIf(unzip === null)("an archive", () => {
  test("with the executable of this machine passes its trial, as the version that it is", async () => {
    const archive = makeArchive(readFileSync(binary));
    await tryArchive(archive, "top", version);
    await expect(tryArchive(archive, "top", "0.0.1")).rejects.toThrow("--version gives");
    // A hundred megabytes are written twice.
  }, 30_000);

  test("with an executable that cannot run does not", async () => {
    const executable = new TextEncoder().encode("#!/bin/sh\nexit 3\n");
    await expect(tryArchive(makeArchive(executable), "top", version)).rejects.toThrow();
  });
});
