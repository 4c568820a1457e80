import type { RetryPlan } from "../config/plan.ts";
import type { Reach } from "./transport/transport.ts";

/** Statuses after which the same request may do better elsewhere or later (529: Anthropic is overloaded). */
const RETRIED_STATUSES = new Set([408, 429, 500, 502, 503, 504, 529]);
const BACKOFF_MS_MAX = 30_000;
/** A longer wish than this is not waited for. */
const RETRY_AFTER_MS_MAX = 30_000;

/** How an attempt ended that gave the client nothing yet. */
export type AttemptEnd =
  | { readonly status: number; readonly retryAfterMs: number | null }
  | { readonly reach: Reach; readonly timedOut: boolean };

/**
 * What comes next. `failover`: nothing had been sent, so another upstream takes over, whether retries are on
 * or not, and it is not counted as one. `retry`: another attempt that may repeat work; `waitMs` applies where
 * only upstreams that were tried already are left, and is null when it is not worth waiting for them.
 */
export type NextStep =
  | { readonly kind: "give-up"; readonly waitMs: null }
  | { readonly kind: "failover"; readonly waitMs: number | null }
  | { readonly kind: "retry"; readonly waitMs: number | null };

const GIVE_UP: NextStep = { kind: "give-up", waitMs: null };

export function isRetriedStatus(status: number): boolean {
  return RETRIED_STATUSES.has(status);
}

/**
 * Decides after an attempt, purely. `retries`: retries made so far; `leftMs`: what is left of the time for
 * the whole request; `random`: 0-1, for the jitter.
 */
export function nextStep(
  end: AttemptEnd,
  retry: RetryPlan | null,
  retries: number,
  leftMs: number,
  random: number,
): NextStep {
  const mayRetry = retry !== null && retries < retry.attempts;
  if ("status" in end) {
    if (!mayRetry || !isRetriedStatus(end.status)) return GIVE_UP;
    return { kind: "retry", waitMs: patience(waitAfter(end.retryAfterMs, retry, retries, random), leftMs) };
  }
  if (end.timedOut) return GIVE_UP;
  const waitMs = mayRetry ? patience(backoffMs(retry, retries, random), leftMs) : null;
  if (end.reach === "not-connected" || end.reach === "nothing-sent") return { kind: "failover", waitMs };
  return mayRetry ? { kind: "retry", waitMs } : GIVE_UP;
}

/** Doubles from `initial`, capped, of which a random half is taken off so that clients do not come back in step. */
export function backoffMs(retry: RetryPlan, retries: number, random: number): number {
  const full = Math.min(BACKOFF_MS_MAX, retry.initialMs * 2 ** Math.min(retries, 30));
  return full * (1 - random / 2);
}

function waitAfter(retryAfterMs: number | null, retry: RetryPlan, retries: number, random: number): number {
  if (retryAfterMs === null) return backoffMs(retry, retries, random);
  return retryAfterMs > RETRY_AFTER_MS_MAX ? Number.POSITIVE_INFINITY : retryAfterMs;
}

function patience(waitMs: number, leftMs: number): number | null {
  return waitMs < leftMs ? waitMs : null;
}
