import type { Members } from "./policy.ts";
import { WeightedRoundRobin } from "./weighted-round-robin.ts";
import type { Rotation } from "./weighted-round-robin.ts";

/**
 * Exact rotation: smooth weighted round robin with equal weights. Unlike a shared cursor it spreads the turns
 * of a member that may not be used over all the others, instead of handing them to its neighbour.
 */
export class RoundRobin extends WeightedRoundRobin {
  constructor(members: Members, rotation: Rotation, count: number) {
    super(members, rotation, new Array<number>(count).fill(1));
  }
}
