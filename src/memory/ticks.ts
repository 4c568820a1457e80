/**
 * Moments in shared memory are whole ticks since the supervisor started, so that one fits beside a state
 * in an Int32 that takes part in a compare-and-swap. 30 bits of ticks last 3.4 years; later moments count
 * as the last tick, which by then has passed: waits become no wait, nothing is locked up.
 */
export const TICK_MS = 100;
export const TICK_BITS = 30;
export const TICKS_MAX = 2 ** TICK_BITS - 1;

/** The first tick that is not before the moment `ms`: what is due at it is never early. */
export function tickFrom(ms: number): number {
  return Math.min(Math.max(Math.ceil(ms / TICK_MS), 0), TICKS_MAX);
}

/** The last tick that has begun at the moment `ms`: whatever is due at it or before it is due now. */
export function tickAt(ms: number): number {
  return Math.min(Math.max(Math.floor(ms / TICK_MS), 0), TICKS_MAX);
}

/** The moment, in milliseconds, at which a tick begins. */
export function msOf(tick: number): number {
  return tick * TICK_MS;
}
