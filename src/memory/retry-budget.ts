import type { Region } from "./region.ts";
import { RollingWindows } from "./rolling-window.ts";

const WINDOW_MS = 10_000;

/** So many retries in a window are always allowed, so that a group with little traffic can retry at all. */
const RETRIES_MIN = 10;

/**
 * Keeps retries from multiplying an outage: per group, retries of the last 10 s stay within a share of the
 * requests of the last 10 s, with a floor of 10. Exact while all threads agree on which second it is; at the turn
 * of a second as many retries may slip through as threads claim at that instant.
 */
export class RetryBudget {
  readonly #windows: RollingWindows;

  constructor(region: Region, groups: number) {
    this.#windows = new RollingWindows(region, groups);
  }

  /** Counts a request of a client; its retries are not requests. */
  countRequest(group: number, nowMs: number): void {
    this.#windows.add(group, nowMs, WINDOW_MS, 1, 0);
  }

  /** Claims a retry: true, and counted, while there are fewer than `share` (0-1) of the requests. */
  mayRetry(group: number, nowMs: number, share: number): boolean {
    return this.#windows.addIf(
      group,
      nowMs,
      WINDOW_MS,
      0,
      1,
      (counts) => counts.failures < Math.max(RETRIES_MIN, share * counts.calls),
    );
  }

  clear(group: number): void {
    this.#windows.clear(group);
  }
}
