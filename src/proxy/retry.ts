import type { Outlook } from "../balancer/group.ts";
import type { RetryPlan } from "../config/plan.ts";
import type { Reach } from "./transport/transport.ts";

/** Statuses after which the same request may do better elsewhere or later (529: Anthropic is overloaded). */
const RETRIED_STATUSES = new Set([408, 429, 500, 502, 503, 504, 529]);
const BACKOFF_MS_MAX = 30_000;
/** A longer wish of an upstream than this is not waited for. */
const WAIT_MS_MAX = 30_000;

/**
 * How an attempt ended that gave the client nothing yet. `wishMs`: the upstream asked to be tried no sooner than after
 * so long; null when it did not.
 */
export type AttemptEnd =
  | { readonly status: number; readonly wishMs: number | null }
  | { readonly reach: Reach; readonly timedOut: boolean };

/** What is left to a request after an attempt that failed. */
export interface Left {
  /** Null where retries are off. */
  readonly retry: RetryPlan | null;
  /** Retries made so far. */
  readonly retries: number;
  /** Of the time for the whole request. */
  readonly timeMs: number;
  readonly upstreams: Outlook;
}

/**
 * What comes next. `failover`: nothing had been sent, so another upstream takes over, whether retries are on
 * or not, and it is not counted as one. `retry`: another attempt that may repeat work; on an upstream that
 * was not tried yet, at once, where `waitMs` is null, else after that long on any of them.
 */
export type NextStep =
  | { readonly kind: "give-up" }
  | { readonly kind: "failover" }
  | { readonly kind: "retry"; readonly waitMs: number | null };

const GIVE_UP: NextStep = { kind: "give-up" };

export function isRetriedStatus(status: number): boolean {
  return RETRIED_STATUSES.has(status);
}

/** Decides after an attempt, purely. `random`: 0-1, for the jitter. */
export function nextStep(end: AttemptEnd, left: Left, random: number): NextStep {
  if ("status" in end ? !isRetriedStatus(end.status) : end.timedOut) return GIVE_UP;
  const { retry, retries, timeMs, upstreams } = left;
  const nothingSent = "reach" in end && (end.reach === "not-connected" || end.reach === "nothing-sent");
  if (nothingSent && upstreams.untried) return { kind: "failover" };
  if (retry === null || retries >= retry.attempts) return GIVE_UP;
  if (upstreams.untried) return { kind: "retry", waitMs: null };
  const wishMs = "status" in end ? end.wishMs : null;
  const waitMs = repeatMs(wishMs, backoffMs(retry, retries, random), upstreams);
  return waitMs <= WAIT_MS_MAX && waitMs < timeMs ? { kind: "retry", waitMs } : GIVE_UP;
}

/**
 * When an upstream that was tried may be tried again: the last one after its wish or the back-off, or another one if
 * that is sooner. The rest of the last one is no obstacle where it is alone; see `Group`.
 */
function repeatMs(wishMs: number | null, backoffMs: number, { last, others }: Outlook): number {
  const lastMs = Math.max(wishMs ?? backoffMs, others === null ? 0 : (last ?? 0));
  return Math.min(
    last === null ? Number.POSITIVE_INFINITY : lastMs,
    others === null ? Number.POSITIVE_INFINITY : Math.max(backoffMs, others),
  );
}

/** Doubles from `initial`, capped, of which a random half is taken off so that clients do not come back in step. */
export function backoffMs(retry: RetryPlan, retries: number, random: number): number {
  const full = Math.min(BACKOFF_MS_MAX, retry.initialMs * 2 ** Math.min(retries, 30));
  return full * (1 - random / 2);
}
