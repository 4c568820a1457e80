import type { Plan } from "../config/plan.ts";
import type { RateLimitMemory } from "../memory/rate-limit-table.ts";

/** One configuration as every worker gets it. Plain data and shared memory, so it can be posted. */
export interface Generation {
  /** Counts up with each configuration that is tried. */
  readonly number: number;
  readonly plan: Plan;
  /** By forward id: the port to listen on; 0 = any. */
  readonly ports: readonly number[];
  /** By forward id; only those with a rate limit. */
  readonly rateLimits: ReadonlyMap<number, RateLimitMemory>;
}
