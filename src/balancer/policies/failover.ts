import type { Members, Policy } from "./policy.ts";

/** The first member in listed order that may be used. */
export class Failover implements Policy {
  readonly #members: Members;

  constructor(members: Members) {
    this.#members = members;
  }

  choose(eligible: readonly number[]): number {
    const member = eligible[0]!;
    this.#members.take(member);
    return member;
  }
}
