// Runs the tests, and first builds the binary that they run where it is older than what it is made of. Further
// arguments go to `bun test`: `npm test -- test/integration -t streams`.
import { statSync } from "node:fs";
import { join } from "node:path";

import { Glob } from "bun";

const root = join(import.meta.dir, "..");
const TEST_TIMEOUT_MS = 30_000;

/** Time of the last change, or 0 where there is no such file. */
function changedMs(path: string): number {
  return statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** True when the binary is missing or older than a source. A directory changes when a file in it is removed. */
function isStale(): boolean {
  const sources = [...new Glob("src/**").scanSync({ cwd: root, onlyFiles: false }), "src"];
  sources.push("scripts/build.ts", "scripts/release/compile.ts", "scripts/release/commit.ts");
  sources.push("package.json", "package-lock.json", "tsconfig.json");
  const builtMs = changedMs("dist/llmproxyd");
  return sources.some((path) => changedMs(path) >= builtMs);
}

/** Runs Bun in the root directory; gives its exit code. */
function bun(args: readonly string[]): number {
  const { exitCode } = Bun.spawnSync([process.execPath, ...args], {
    cwd: root,
    stdio: ["inherit", "inherit", "inherit"],
  });
  return exitCode;
}

if (process.env["LLMPROXYD"] === undefined && isStale()) {
  const exitCode = bun(["scripts/build.ts"]);
  if (exitCode !== 0) process.exit(exitCode);
}
const flags = ["--parallel", "--no-orphans", `--timeout=${TEST_TIMEOUT_MS}`];
process.exit(bun(["test", ...flags, ...process.argv.slice(2)]));
