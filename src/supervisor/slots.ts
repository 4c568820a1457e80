import type { Plan } from "../config/plan.ts";
import { type NewIds, renumber } from "../config/renumber.ts";

/** Ids of one kind each that nobody new may take. */
export interface Slots {
  readonly forwards: ReadonlySet<number>;
  readonly upstreams: ReadonlySet<number>;
  readonly groups: ReadonlySet<number>;
}

/** A plan whose ids are places in shared memory that is in use. */
export interface Placed {
  readonly plan: Plan;
  /** Ids of what is new: whoever had them before is to be forgotten. */
  readonly fresh: NewIds;
}

/**
 * Gives what stays in a plan the ids that it has in the present one, so that its averages, breakers and counters
 * live on, and what is new the lowest that are free. Forwards and groups are known by name. An upstream is known by name
 * and URL: what was learnt of one server says nothing about another. `taken`: ids of earlier plans that requests
 * may still be on. Pure.
 */
export function placePlan(next: Plan, present: Plan, taken: Slots): Placed {
  const upstreamKey = ({ name, url }: { name: string; url: string }) => `${name}\n${url}`;
  const nameOf = ({ name }: { name: string }) => name;
  const forwards = place(next.forwards, present.forwards, taken.forwards, nameOf);
  const upstreams = place(next.upstreams, present.upstreams, taken.upstreams, upstreamKey);
  const groups = place(next.groups, present.groups, taken.groups, nameOf);
  const ids = { forwards: forwards.ids, upstreams: upstreams.ids, groups: groups.ids };
  const fresh = { forwards: forwards.fresh, upstreams: upstreams.fresh, groups: groups.fresh };
  return { plan: renumber(next, ids), fresh };
}

function place<T extends { readonly id: number }>(
  next: readonly T[],
  present: readonly T[],
  taken: ReadonlySet<number>,
  keyOf: (entry: T) => string,
): { ids: number[]; fresh: number[] } {
  const known = new Map(present.map((entry) => [keyOf(entry), entry.id]));
  const used = new Set([...taken, ...known.values()]);
  const ids: number[] = [];
  const fresh: number[] = [];
  let free = 0;
  for (const entry of next) {
    let id = known.get(keyOf(entry));
    if (id === undefined) {
      while (used.has(free)) free++;
      id = free++;
      fresh.push(id);
    }
    ids[entry.id] = id;
  }
  return { ids, fresh };
}
