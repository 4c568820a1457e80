// Makes a release in dist/release: an archive with an executable for each target, SHA256SUMS and a bill of
// materials. `npm run release -- --target Linux-x64` makes only that one; may be given several times. `--output DIR`
// puts them into another directory, which must be new.
// The same commit gives the same bytes, wherever and whenever it is built.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import { commitTime, currentCommit } from "./release/commit.ts";
import { compile } from "./release/compile.ts";
import { type LockFile, productOf } from "./release/lock-file.ts";
import { isSigned, signAdHoc } from "./release/mach-o-signature.ts";
import { makeNotices } from "./release/notices.ts";
import { fetchRuntime } from "./release/runtimes.ts";
import { makeSbom } from "./release/sbom.ts";
import { archiveName, hostTarget, type Target, targets } from "./release/targets.ts";
import { tryArchive } from "./release/try-archive.ts";
import { zip } from "./release/zip.ts";

const root = join(import.meta.dir, "..");
const { values } = parseArgs({
  options: { target: { type: "string", multiple: true }, output: { type: "string" } },
});
const output = outputDirectory(values.output);
const work = `${output}-work`;
process.chdir(root);
const wanted = values.target?.map(targetNamed) ?? targets;
const lock = (await Bun.file("package-lock.json").json()) as LockFile;
const { version } = productOf(lock);
const commit = await commitName();
const time = await commitTime();
const notices = await makeNotices(lock, root);

mkdirSync(output, { recursive: true });
for (const target of wanted) await makeArchive(target);
await Bun.write(
  join(output, `llmproxyd-${version}.cdx.json`),
  `${JSON.stringify(makeSbom(lock, commit, time), null, 2)}\n`,
);
await writeSums();
rmSync(work, { recursive: true, force: true });
await tryHost();

/** An absolute path. The usual place is cleared; what somebody names is left alone where there is something. */
function outputDirectory(given: string | undefined): string {
  if (given !== undefined && existsSync(given)) {
    console.error(`${given} is there already`);
    process.exit(2);
  }
  const usual = join(root, "dist/release");
  if (given === undefined) rmSync(usual, { recursive: true, force: true });
  return given === undefined ? usual : resolve(given);
}

/** `Linux-x64`, as in the names of the archives. */
function targetNamed(name: string): Target {
  const found = targets.find(({ os, arch }) => `${os}-${arch}` === name);
  if (found !== undefined) return found;
  console.error(`no target ${name}; there are ${targets.map(({ os, arch }) => `${os}-${arch}`).join(", ")}`);
  process.exit(2);
}

/** The commit, marked when the tree holds something else. */
async function commitName(): Promise<string> {
  const { name, isDirty } = await currentCommit();
  if (!isDirty) return name;
  console.warn("warning: there are changes that are not committed, so nobody can make this release again");
  return `${name}-dirty`;
}

async function makeArchive(target: Target): Promise<void> {
  const name = archiveName(target, version);
  const executable = join(work, name, "llmproxyd");
  const runtime = await fetchRuntime(
    target.runtime,
    lock,
    join(root, "node_modules/.cache/llmproxyd-release"),
  );
  await compile({ root, outfile: executable, commit, target: target.bun, runtime });
  if (target.os === "Darwin") await sign(executable);
  const file = async (path: string, source: string, isExecutable = false) => ({
    path: `${name}/${path}`,
    bytes: await Bun.file(source).bytes(),
    executable: isExecutable,
  });
  const archive = zip(
    [
      await file("llmproxyd", executable, true),
      await file("llmproxyd.service", "examples/systemd/llmproxyd.service"),
      ...(await Promise.all(["config.default.yaml", "LICENSE", "README.md"].map((path) => file(path, path)))),
      { path: `${name}/THIRD-PARTY-NOTICES.md`, bytes: new TextEncoder().encode(notices), executable: false },
    ],
    time,
  );
  await Bun.write(join(output, `${name}.zip`), archive);
  console.log(`${relative(root, output)}/${name}.zip  ${(archive.length / 1e6).toFixed(1)} MB`);
}

/** Bun signs what it compiles for macOS on arm64, and leaves an invalid signature behind for x64. */
async function sign(executable: string): Promise<void> {
  const file = Buffer.from(await Bun.file(executable).bytes());
  if (isSigned(file)) return;
  const signed = signAdHoc(file, "llmproxyd");
  if (!isSigned(signed)) throw new Error(`${executable} could not be signed`);
  await Bun.write(executable, signed);
}

/** As `sha256sum` writes and checks them. */
async function writeSums(): Promise<void> {
  const names = [...new Bun.Glob("*").scanSync(output)].sort();
  const lines = names.map(async (name) => {
    const bytes = await Bun.file(join(output, name)).bytes();
    return `${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}  ${name}\n`;
  });
  await Bun.write(join(output, "SHA256SUMS"), (await Promise.all(lines)).join(""));
}

/** What is for this machine is used once from its archive. */
async function tryHost(): Promise<void> {
  const host = hostTarget();
  if (host === null || !wanted.includes(host))
    return console.log("no archive for this machine, so none is tried");
  const name = archiveName(host, version);
  await tryArchive(join(output, `${name}.zip`), name, version);
  console.log(`${name}.zip was unpacked and run on this machine`);
}
