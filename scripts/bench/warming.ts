import type { Wait } from "./cases.ts";
import { coresOf, sharesBetween, type ThreadShare, usageOf } from "./procfs.ts";
import type { Target } from "./targets/target.ts";

/** From here on a compiler counts as busy. */
export const COMPILER_SHARE_HIGH = 0.03;

const POLL_MS = 300;
/** At a low rate it rests for seconds between two passes. Six seconds of rest: the next pass is not soon. */
const QUIET_POLLS = 20;

/** The part of a server's CPU that went into compiling; Bun names these threads so. */
export function compilerShare(threads: readonly ThreadShare[]): number {
  const all = coresOf(threads);
  return all === 0 ? 0 : coresOf(threads.filter(({ name }) => name.startsWith("JITWorker"))) / all;
}

/**
 * Waits while a server is under load until it is as fast as it gets. How long a compiler takes depends on the
 * machine and on what else runs there, so it is watched.
 */
export async function untilFast(target: Target, pid: number | null, { minMs, maxMs }: Wait): Promise<void> {
  const endMs = performance.now() + maxMs;
  await Bun.sleep(minMs);
  if (pid === null || target.compiler === "none") return;
  if (target.compiler === "unknown") return Bun.sleep((maxMs - minMs) / 2);
  let before = usageOf(pid);
  for (let quiet = 0; quiet < QUIET_POLLS && performance.now() < endMs;) {
    await Bun.sleep(POLL_MS);
    const now = usageOf(pid);
    quiet = compilerShare(sharesBetween(before, now)) < COMPILER_SHARE_HIGH ? quiet + 1 : 0;
    before = now;
  }
}
