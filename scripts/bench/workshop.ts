import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runToEnd } from "./children.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const TOOLS = ["upstream", "load", "launch"];
const COMPILERS = ["cc", "gcc", "clang"];
const STEP_LIMIT_MS = 180_000;

/** Something that must be there is not, or does not build; the message is for people. */
export class WorkshopError extends Error {}

/** A temporary directory in which tools and binaries are made; `close` removes all of it. */
export class Workshop {
  readonly directory: string;
  readonly #worktrees: string[] = [];

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), "llmproxy-bench-"));
  }

  /** Compiles the load tools and gives their directory. */
  async tools(): Promise<string> {
    const compiler = COMPILERS.find((name) => Bun.which(name) !== null);
    if (compiler === undefined) {
      throw new WorkshopError(
        `The load tools are written in C, and none of ${COMPILERS.join(", ")} is installed. Debian and Ubuntu: ` +
          "apt-get install gcc libc6-dev. Alpine: apk add gcc musl-dev linux-headers.",
      );
    }
    const directory = join(this.directory, "tools");
    mkdirSync(directory);
    await Promise.all(
      TOOLS.map((tool) => {
        const source = new URL(`./tools/${tool}.c`, import.meta.url).pathname;
        return run([compiler, "-O2", "-std=gnu11", "-o", join(directory, tool), source], ROOT);
      }),
    );
    return directory;
  }

  /** Builds llmproxyd from this tree as it stands. A copy is measured: a later build must not change it midway. */
  async build(): Promise<string> {
    return this.#build(ROOT, "llmproxyd");
  }

  /** Takes an executable that is there already. */
  adopt(binary: string): string {
    return this.#copy(binary, "llmproxyd");
  }

  /** Builds another revision in a git worktree of its own, with the dependencies of this tree. */
  async buildRevision(revision: string): Promise<string> {
    const worktree = join(this.directory, "revision");
    this.#worktrees.push(worktree);
    await run(["git", "worktree", "add", "--detach", worktree, revision], ROOT);
    symlinkSync(join(ROOT, "node_modules"), join(worktree, "node_modules"));
    const binary = await this.#build(worktree, "llmproxyd-revision");
    this.#removeWorktrees();
    return binary;
  }

  /** Removes everything. May be called more than once, and at any time. */
  close(): void {
    this.#removeWorktrees();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #build(tree: string, name: string): Promise<string> {
    await run([process.execPath, "scripts/build.ts"], tree);
    return this.#copy(join(tree, "dist", "llmproxyd"), name);
  }

  #copy(binary: string, name: string): string {
    const copy = join(this.directory, name);
    try {
      copyFileSync(binary, copy);
    } catch (error) {
      throw new WorkshopError(`cannot copy ${binary}: ${error instanceof Error ? error.message : "unknown"}`);
    }
    return copy;
  }

  #removeWorktrees(): void {
    for (const worktree of this.#worktrees.splice(0)) {
      Bun.spawnSync(["git", "-C", ROOT, "worktree", "remove", "--force", worktree]);
    }
  }
}

/** Runs a command to its end. Throws with what it said when it fails. */
async function run(argv: readonly string[], cwd: string): Promise<void> {
  const { status, stdout, stderr } = await runToEnd(argv, cwd, STEP_LIMIT_MS);
  if (status !== 0) {
    const said = (stdout + stderr).trim();
    throw new WorkshopError(`${argv.slice(0, 3).join(" ")} failed with ${status}:\n${said}`);
  }
}
