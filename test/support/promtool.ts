/** Whether Prometheus' own checker is installed (Debian package `prometheus`). */
export const hasPromtool = Bun.which("promtool") !== null;
/** Whether Prometheus itself is. */
export const hasPrometheus = Bun.which("prometheus") !== null;

/** Runs `promtool` with this input, and gives all that it printed. */
export async function promtool(
  args: readonly string[],
  input: string,
): Promise<{ exitCode: number; output: string }> {
  const child = Bun.spawn(["promtool", ...args], {
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { exitCode, output: stdout + stderr };
}
