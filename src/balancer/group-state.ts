import type { BalancerMemory } from "../memory/balancer-memory.ts";
import { msOf, tickAt } from "../memory/ticks.ts";
import type { Loads, ScoredMembers } from "./policies/response-aware.ts";
import type { Rotation } from "./policies/weighted-round-robin.ts";

/** The shared memory of one group as its policy sees it: members by their place in the group. */
export class GroupState implements ScoredMembers, Rotation {
  /** True when the last member taken is under review. Set false before a choice. */
  reviewed = false;
  /** Requests in flight for the last member taken, without this one. */
  inFlightBefore = 0;
  readonly #memory: BalancerMemory;
  readonly #worker: number;
  readonly #group: number;
  readonly #upstreams: readonly number[];
  readonly #rotationKey: number;

  constructor(
    memory: BalancerMemory,
    worker: number,
    group: number,
    members: readonly { readonly upstream: number; readonly weight: number }[],
  ) {
    this.#memory = memory;
    this.#worker = worker;
    this.#group = group;
    this.#upstreams = members.map((member) => member.upstream);
    this.#rotationKey = membershipKey(members);
  }

  take(member: number): void {
    this.inFlightBefore = this.#memory.inFlight.take(this.#worker, this.#upstreams[member]!);
  }

  takeIf(member: number, inFlightSeen: number): boolean {
    this.inFlightBefore = inFlightSeen;
    return this.#memory.inFlight.takeIf(this.#worker, this.#upstreams[member]!, inFlightSeen);
  }

  giveBack(member: number): void {
    this.#memory.inFlight.giveBack(this.#worker, this.#upstreams[member]!);
  }

  read(eligible: readonly number[], loads: Loads): void {
    const { inFlight, responseMs, successRate } = this.#memory;
    for (let place = 0; place < eligible.length; place++) {
      const upstream = this.#upstreams[eligible[place]!]!;
      loads.inFlight[place] = inFlight.read(upstream);
      loads.responseMs[place] = responseMs.read(upstream) ?? -1;
      loads.successRate[place] = successRate.read(upstream) ?? 1;
    }
  }

  sampledMs(member: number): number {
    return msOf(this.#memory.sampledTick.read(this.#upstreams[member]!));
  }

  update(step: (credits: Float64Array) => number): number {
    const length = this.#upstreams.length;
    return this.#memory.rotations.update(this.#worker, this.#group, this.#rotationKey, length, step);
  }

  review(member: number, nowMs: number): void {
    this.#memory.sampledTick.write(this.#upstreams[member]!, tickAt(nowMs));
    this.reviewed = true;
  }

  lastTieWinner(): number {
    return this.#memory.tieWinners.read(this.#group) - 1;
  }

  tieWon(member: number): void {
    this.#memory.tieWinners.write(this.#group, member + 1);
  }
}

/**
 * Names a list of members and weights by a number from 1 to 2^32 (FNV-1a): after a reload that changed them, the
 * credits of the old list do not count for the new one.
 */
function membershipKey(members: readonly { readonly upstream: number; readonly weight: number }[]): number {
  let hash = 0x811c9dc5;
  for (const { upstream, weight } of members) {
    for (const value of [upstream, weight]) {
      for (let shift = 0; shift < 32; shift += 8) {
        hash = Math.imul(hash ^ ((value >>> shift) & 0xff), 0x01000193);
      }
    }
  }
  return (hash >>> 0) + 1;
}
