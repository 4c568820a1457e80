// Runs `bun` with the given arguments, and installs the locked dependencies first where they are missing
// or older than the lock file. Node and npm are all that it needs.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const bun = join(root, "node_modules", ".bin", "bun");

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { stdio: "inherit", ...options });
  if (result.error) throw result.error;
  return result;
}

/** True when node_modules holds what package-lock.json asks for; npm writes its own lock file last. */
function installed() {
  const done = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(bun) || !existsSync(done)) return false;
  return statSync(done).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs;
}

if (!installed()) {
  const install = run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: root });
  if (install.status !== 0) process.exit(install.status ?? 1);
}
// Some npm settings hold back install scripts; bun's own puts its executable in place.
if (spawnSync(bun, ["--version"], { stdio: "ignore" }).status !== 0) {
  run(process.execPath, [join(root, "node_modules", "bun", "install.js")], {
    cwd: join(root, "node_modules", "bun"),
  });
}

// A terminal's Ctrl-C reaches the child by itself; a signal sent to this process alone is passed on.
const child = spawn(bun, process.argv.slice(2), { cwd: root, stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));
