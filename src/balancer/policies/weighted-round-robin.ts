import type { Members, Policy } from "./policy.ts";

/** The credit of each member of a group, shared by all who choose. */
export interface Rotation {
  /**
   * Changes the credits as one step that nobody else gets between; gives what `step` gave. `step` may run again
   * when somebody else was faster.
   */
  update(step: (credits: Float64Array) => number): number;
}

/**
 * Smooth weighted round robin, as nginx does it (ngx_http_upstream_get_peer): every member that may be used
 * earns its weight in credit, the richest one is chosen (the first of equals) and pays what all earned. Over each
 * cycle (as many choices as the weights add up to) every member gets exactly its weight, spread out evenly.
 * A member that may not be used neither earns nor pays, so the rest share by their own weights.
 */
export class WeightedRoundRobin implements Policy {
  readonly #members: Members;
  readonly #rotation: Rotation;
  readonly #weights: readonly number[];
  #eligible: readonly number[] = [];

  constructor(members: Members, rotation: Rotation, weights: readonly number[]) {
    this.#members = members;
    this.#rotation = rotation;
    this.#weights = weights;
  }

  choose(eligible: readonly number[]): number {
    // One alone earns what it pays.
    let member = eligible[0]!;
    if (eligible.length > 1) {
      this.#eligible = eligible;
      member = this.#rotation.update(this.#step);
    }
    this.#members.take(member);
    return member;
  }

  readonly #step = (credits: Float64Array): number => {
    let total = 0;
    let richest = this.#eligible[0]!;
    for (const member of this.#eligible) {
      const weight = this.#weights[member]!;
      total += weight;
      credits[member]! += weight;
      if (credits[member]! > credits[richest]!) richest = member;
    }
    credits[richest]! -= total;
    return richest;
  };
}
