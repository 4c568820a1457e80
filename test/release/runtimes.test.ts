import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { fetchRuntime } from "../../scripts/release/runtimes.ts";

const cache = mkdtempSync(join(tmpdir(), "llmproxy-runtimes-"));
afterAll(() => rmSync(cache, { recursive: true, force: true }));

/** Puts a package's archive where it is kept between releases, and gives the lock file's hash for it. */
async function keep(executable: string): Promise<{ archive: string; integrity: string }> {
  const archive = join(cache, "oven-bun-some-1.0.0.tgz");
  await Bun.write(archive, new Bun.Archive({ "package/bin/bun": executable }, { compress: "gzip" }));
  const hash = new Bun.CryptoHasher("sha512").update(await Bun.file(archive).bytes()).digest("base64");
  return { archive, integrity: `sha512-${hash}` };
}

const lockOf = (integrity: string) => ({
  packages: {
    "": { name: "x", version: "1.0.0" },
    "node_modules/@oven/bun-some": { version: "1.0.0", integrity },
  },
});

test("a runtime is taken from its archive when that has the hash of the lock file", async () => {
  const { integrity } = await keep("runtime");
  const executable = await fetchRuntime("@oven/bun-some", lockOf(integrity), cache);
  expect(await Bun.file(executable).text()).toBe("runtime");
  expect(statSync(executable).mode & 0o777).toBe(0o755);
});

test("an archive with another hash is refused and not kept", async () => {
  const { integrity } = await keep("runtime");
  const { archive } = await keep("something else");
  await expect(fetchRuntime("@oven/bun-some", lockOf(integrity), cache)).rejects.toThrow(
    "package-lock.json says",
  );
  expect(existsSync(archive)).toBe(false);
});
