import { refusedUntilMs } from "../balancer/breaker.ts";
import { byId, type GroupPlan, type Plan, type UpstreamPlan } from "../config/plan.ts";
import type { BalancerMemory } from "../memory/balancer-memory.ts";
import { deadlineMs } from "../memory/deadline.ts";

/** Answer of `/ready`, and what it is about. */
export interface Readiness {
  readonly ready: boolean;
  readonly draining: boolean;
  /** Workers that serve. */
  readonly workers: number;
  /** Names of the groups of which no upstream takes requests now. */
  readonly unavailable_groups: readonly string[];
  readonly groups: readonly GroupReadiness[];
}

export interface GroupReadiness {
  readonly name: string;
  readonly upstreams: number;
  /** Those that take requests now. */
  readonly available: number;
}

/** Whether requests can be served now: by each group, by at least one worker, and not on the way out. */
export function readiness(
  plan: Plan,
  memory: BalancerMemory,
  nowMs: number,
  process: { readonly draining: boolean; readonly workers: number },
): Readiness {
  const upstreams = byId(plan.upstreams);
  const groups = plan.groups.map((group) => groupReadiness(group, upstreams, memory, nowMs));
  const unavailable = groups.filter(({ available }) => available === 0).map(({ name }) => name);
  return {
    ready: !process.draining && process.workers > 0 && unavailable.length === 0,
    draining: process.draining,
    workers: process.workers,
    unavailable_groups: unavailable,
    groups,
  };
}

/** Counts as the balancer does: an upstream that rests is used all the same where it is the last one that works. */
function groupReadiness(
  group: GroupPlan,
  upstreams: readonly UpstreamPlan[],
  memory: BalancerMemory,
  nowMs: number,
): GroupReadiness {
  let working = 0;
  let resting = 0;
  for (const member of group.members) {
    const { id, breaker } = upstreams[member.upstream]!;
    if (breaker !== null && refusedUntilMs(memory, id, breaker, nowMs) !== null) continue;
    working++;
    if (deadlineMs(memory.rests.read(id)) > nowMs) resting++;
  }
  const available = working === 1 ? 1 : working - resting;
  return { name: group.name, upstreams: group.members.length, available };
}
