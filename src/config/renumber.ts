import type { Plan } from "./plan.ts";

/** New ids, each at the old one. */
export interface NewIds {
  readonly forwards: readonly number[];
  readonly upstreams: readonly number[];
  readonly groups: readonly number[];
}

/** Gives the same plan with other ids. Pure. */
export function renumber(plan: Plan, ids: NewIds): Plan {
  return {
    ...plan,
    forwards: plan.forwards.map((forward) => ({
      ...forward,
      id: ids.forwards[forward.id]!,
      group: ids.groups[forward.group]!,
    })),
    upstreams: plan.upstreams.map((upstream) => ({ ...upstream, id: ids.upstreams[upstream.id]! })),
    groups: plan.groups.map((group) => ({
      ...group,
      id: ids.groups[group.id]!,
      members: group.members.map((member) => ({ ...member, upstream: ids.upstreams[member.upstream]! })),
    })),
  };
}
