import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { $ } from "bun";

import { lockedPackage, type LockFile } from "./lock-file.ts";

/**
 * Fetches Bun for another machine from the package registry, in the version that package-lock.json names, and
 * gives the path of its executable. What was fetched before is used again. Throws when the archive is not the
 * one whose hash the lock file holds: what is in it becomes a part of the product.
 */
export async function fetchRuntime(name: string, lock: LockFile, cache: string): Promise<string> {
  const { version, integrity } = lockedPackage(lock, name);
  mkdirSync(cache, { recursive: true });
  // As npm names it: the scope's at sign goes, the slash becomes a dash.
  const base = `${name.replace(/^@/, "").replace("/", "-")}-${version}`;
  const path = join(cache, `${base}.tgz`);
  if (!existsSync(path)) {
    await $`npm pack ${`${name}@${version}`} --pack-destination ${cache} --loglevel=error`.quiet();
  }
  const bytes = await Bun.file(path).bytes();
  const found = `sha512-${new Bun.CryptoHasher("sha512").update(bytes).digest("base64")}`;
  if (found !== integrity) {
    rmSync(path);
    throw new Error(`${name}@${version}: the hash is ${found}, package-lock.json says ${integrity}`);
  }
  const directory = join(cache, base);
  await new Bun.Archive(bytes).extract(directory);
  const executable = join(directory, "package", "bin", "bun");
  await $`chmod 755 ${executable}`;
  return executable;
}
