import type { RateLimitPlan } from "../config/plan.ts";
import type { HeaderList } from "../http/exchange.ts";
import { RateLimitRule, type RateLimitTable, UNTRACKED } from "../memory/rate-limit-table.ts";
import type { IpAddress } from "../shared/ip-address.ts";
import { clientKey } from "./client-address.ts";

/** `untracked`: let through, as the table is full of other clients. `limited`: after `waitS` it is worth trying again. */
export type RateVerdict = "admitted" | "untracked" | { readonly waitS: number };

/** The rate limit of one forward, seen from one worker. */
export class RateLimit {
  readonly #table: RateLimitTable;
  readonly #plan: RateLimitPlan;
  readonly #rule: RateLimitRule;
  readonly #worker: number;

  constructor(table: RateLimitTable, plan: RateLimitPlan, worker: number) {
    this.#table = table;
    this.#plan = plan;
    this.#rule = new RateLimitRule(plan.perSecond, plan.burst);
    this.#worker = worker;
  }

  /** Decides one request of a client, and counts it if it is admitted. */
  check(client: IpAddress, nowMs: number): RateVerdict {
    const decision = this.#table.decide(this.#worker, clientKey(client), this.#rule, nowMs);
    if (decision === 0) return "admitted";
    if (decision === UNTRACKED) return "untracked";
    return { waitS: Math.max(1, Math.ceil(-decision / 1000)) };
  }

  /**
   * The fields of a refusal beside `Retry-After`, of which `RateLimit-Reset` names the same moment.
   * https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-06
   */
  refusalHeaders(waitS: number): HeaderList {
    const limit = String(this.#plan.burst);
    return ["RateLimit-Limit", limit, "RateLimit-Remaining", "0", "RateLimit-Reset", String(waitS)];
  }

  /** Says for people what the limit is. */
  get text(): string {
    const { perSecond, burst } = this.#plan;
    return `Too many requests: one client may send ${perSecond} per second, and ${burst} at once.`;
  }
}
