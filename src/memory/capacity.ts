/**
 * How many of each kind the shared memory has room for. Fixed when the memory is made; threads that agree on it find the
 * same things in the same places.
 */
export interface Capacity {
  /** Worker threads; their numbers run from 0 to one less. */
  readonly workers: number;
  /** Forward ids run from 0 to one less. */
  readonly forwards: number;
  /** Upstream ids run from 0 to one less. */
  readonly upstreams: number;
  /** Group ids run from 0 to one less. */
  readonly groups: number;
  /** Upstreams in one group. */
  readonly members: number;
  /** Half-open probes at a time for one upstream. */
  readonly probes: number;
}

/** What a plan needs room for. */
export interface Sizes {
  readonly forwards: readonly { readonly id: number }[];
  readonly upstreams: readonly {
    readonly id: number;
    readonly breaker: { readonly halfOpenRequests: number } | null;
  }[];
  readonly groups: readonly { readonly id: number; readonly members: readonly unknown[] }[];
}

const ROOM_MIN = 64;
const PROBES_MIN = 16;
const WORKERS_MIN = 16;
export const WORKERS_MAX = 64;

/**
 * Gives a capacity with room to grow, so that a reload can add to it: four times what the plan needs, and room for a
 * change while requests still follow the plan before. Memory that is never touched costs nothing.
 */
export function proposeCapacity(plan: Sizes, workers: number): Capacity {
  const needed = need(plan);
  return {
    workers: Math.min(WORKERS_MAX, Math.max(WORKERS_MIN, 2 * workers)),
    forwards: roomFor(needed.forwards, ROOM_MIN),
    upstreams: roomFor(needed.upstreams, ROOM_MIN),
    groups: roomFor(needed.groups, ROOM_MIN),
    members: roomFor(needed.members, ROOM_MIN),
    probes: roomFor(needed.probes, PROBES_MIN),
  };
}

/** What a plan needs more of than a memory of this capacity has; null where it fits. */
export function misfit(capacity: Capacity, plan: Sizes): Exclude<keyof Capacity, "workers"> | null {
  const needed = need(plan);
  const kinds = ["forwards", "upstreams", "groups", "members", "probes"] as const;
  return kinds.find((kind) => needed[kind] > capacity[kind]) ?? null;
}

function need(plan: Sizes): Omit<Capacity, "workers"> {
  const end = (items: readonly { readonly id: number }[]) =>
    items.reduce((most, { id }) => Math.max(most, id + 1), 0);
  return {
    forwards: end(plan.forwards),
    upstreams: end(plan.upstreams),
    groups: end(plan.groups),
    members: Math.max(0, ...plan.groups.map(({ members }) => members.length)),
    probes: Math.max(0, ...plan.upstreams.map(({ breaker }) => breaker?.halfOpenRequests ?? 0)),
  };
}

/** The next power of two from four times the count. */
function roomFor(count: number, least: number): number {
  let room = least;
  while (room < 4 * count) room *= 2;
  return room;
}
