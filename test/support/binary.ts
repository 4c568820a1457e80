import type { Subprocess } from "bun";

const root = new URL("../..", import.meta.url).pathname;

/** The executable under test: the one of this tree, or another one that `LLMPROXYD` names. */
export const binary = process.env["LLMPROXYD"] ?? `${root}dist/llmproxyd`;

export interface RunOptions {
  /** The whole environment of the process; nothing is inherited. Default: empty. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A command, and its arguments, that runs the binary in its own place: `setpriv`, `prlimit`. */
  readonly wrapper?: readonly string[];
}

/** What a finished process left. */
export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `llmproxyd`. */
export type Child = Subprocess<"ignore", "pipe", "pipe">;

/** Those that have not ended. */
const running = new Set<Child>();

// A test that runs into its time limit does not come to end what it started.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts the binary. Nothing of the test's environment reaches it. It does not outlive the test's process. */
export function spawnBinary(args: readonly string[], options: RunOptions = {}): Child {
  const child = Bun.spawn([...(options.wrapper ?? []), binary, ...args], {
    env: { ...options.env },
    cwd: options.cwd ?? "/",
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  running.add(child);
  void child.exited.then(() => running.delete(child));
  return child;
}

/** Runs the binary to its end; for command lines that do not serve. */
export async function runBinary(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = spawnBinary(args, options);
  const [exitCode, stdout, stderr] = await Promise.all([
    child.exited,
    child.stdout.text(),
    child.stderr.text(),
  ]);
  return { exitCode, stdout, stderr };
}
