/** What a policy can do with the group that it chooses for. Members are numbered from 0 in listed order. */
export interface Members {
  /** Takes one more request in flight for the member. */
  take(member: number): void;
}

/**
 * A way to spread requests over the members of a group. Choosing is claiming: when `choose` returns, the
 * request is in flight for the member.
 */
export interface Policy {
  /** Chooses one of the members that may be used: at least one, ascending, each once. */
  choose(eligible: readonly number[], nowMs: number): number;
}
