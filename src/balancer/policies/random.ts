import type { Members, Policy } from "./policy.ts";

/** Each member that may be used with the same probability. */
export class Random implements Policy {
  readonly #members: Members;
  readonly #random: () => number;

  /** `random` gives numbers from 0 up to but not including 1. */
  constructor(members: Members, random: () => number) {
    this.#members = members;
    this.#random = random;
  }

  choose(eligible: readonly number[]): number {
    const member = eligible[Math.floor(this.#random() * eligible.length)]!;
    this.#members.take(member);
    return member;
  }
}
