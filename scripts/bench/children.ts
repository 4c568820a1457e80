import type { Subprocess } from "bun";

/** What a finished command left. */
export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const running = new Set<Subprocess>();
let ended = false;

/** Runs a command to its end, or until the time is up. */
export async function runToEnd(argv: readonly string[], cwd: string, limitMs: number): Promise<Finished> {
  if (ended) throw new Error("the commands have been ended");
  const child = Bun.spawn([...argv], {
    cwd,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: limitMs,
    killSignal: "SIGKILL",
  });
  running.add(child);
  const [status, stdout, stderr] = await Promise.all([
    child.exited,
    child.stdout.text(),
    child.stderr.text(),
  ]);
  running.delete(child);
  return { status, stdout, stderr };
}

/** Ends the commands that are still running. From now on none can be started. */
export function endChildren(): void {
  ended = true;
  for (const child of running) child.kill("SIGKILL");
}
