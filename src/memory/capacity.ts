/** How many of each kind the shared memory has room for. Fixed when the memory is made. */
export interface Capacity {
  /** Worker threads. */
  readonly workers: number;
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
  readonly upstreams: readonly {
    readonly id: number;
    readonly breaker: { readonly halfOpenRequests: number } | null;
  }[];
  readonly groups: readonly { readonly id: number; readonly members: readonly unknown[] }[];
}

const ROOM_MIN = 16;

/** Gives a capacity with room to grow: at least twice what the plan needs, so that a reload can add to it. */
export function proposeCapacity(plan: Sizes, workers: number): Capacity {
  const needed = need(plan);
  return {
    workers,
    upstreams: roomFor(needed.upstreams),
    groups: roomFor(needed.groups),
    members: roomFor(needed.members),
    probes: roomFor(needed.probes),
  };
}

/** True when a memory of this capacity can hold the plan. */
export function fits(capacity: Capacity, plan: Sizes): boolean {
  const needed = need(plan);
  return (
    needed.upstreams <= capacity.upstreams &&
    needed.groups <= capacity.groups &&
    needed.members <= capacity.members &&
    needed.probes <= capacity.probes
  );
}

function need(plan: Sizes): Omit<Capacity, "workers"> {
  let [upstreams, groups, members, probes] = [0, 0, 0, 0];
  for (const upstream of plan.upstreams) {
    upstreams = Math.max(upstreams, upstream.id + 1);
    probes = Math.max(probes, upstream.breaker?.halfOpenRequests ?? 0);
  }
  for (const group of plan.groups) {
    groups = Math.max(groups, group.id + 1);
    members = Math.max(members, group.members.length);
  }
  return { upstreams, groups, members, probes };
}

/** The next power of two from twice the count. */
function roomFor(count: number): number {
  let room = ROOM_MIN;
  while (room < 2 * count) room *= 2;
  return room;
}
