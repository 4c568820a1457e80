import { nowMs } from "../shared/clock.ts";
import type { SupervisorState } from "./samples.ts";

/** Workers beat four times a second; a machine that is short of time for this long is no reason to start over. */
const SILENCE_MS_MIN = 2_000;

/**
 * Which worker's event loop has not turned for `silentMs` (two seconds at least), in words, or null. One that
 * has not yet begun does not count.
 */
export function stuckWorker({ serving, cells }: SupervisorState, silentMs: number): string | null {
  const limitMs = Math.max(SILENCE_MS_MIN, silentMs);
  for (const worker of serving) {
    const { atMs } = cells.lastBeat(worker);
    const forMs = nowMs() - atMs;
    if (atMs !== 0 && forMs > limitMs)
      return `worker ${worker} has not answered for ${Math.round(forMs / 1000)} s`;
  }
  return null;
}
