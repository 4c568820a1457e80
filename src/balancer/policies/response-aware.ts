import type { Members, Policy } from "./policy.ts";

/** What scores are made of, for each member that may be used, in the order of the eligible. */
export class Loads {
  readonly inFlight: Int32Array;
  /** Moving average in milliseconds, -1 without a sample. */
  readonly responseMs: Float64Array;
  /** Moving average from 0 to 1; 1 without a sample. */
  readonly successRate: Float64Array;

  constructor(members: number) {
    this.inFlight = new Int32Array(members);
    this.responseMs = new Float64Array(members);
    this.successRate = new Float64Array(members);
  }
}

/** The members with their loads, and the notes that all who choose for the group share. */
export interface ScoredMembers extends Members {
  /** Reads the loads of all eligible members at once, as one call for each number would cost more than the rest. */
  read(eligible: readonly number[], loads: Loads): void;
  /** Takes one more request in flight if `inFlight` still is what was seen. */
  takeIf(member: number, inFlightSeen: number): boolean;
  /** When the averages last took in a sample, or the member was last reviewed. */
  sampledMs(member: number): number;

  /** Notes that the member just taken is under review: a success is to replace its averages, not to blend in. */
  review(member: number, nowMs: number): void;

  /** The winner of the last tie, -1 before the first. */
  lastTieWinner(): number;
  tieWon(member: number): void;
}

/** Keep a score finite and ordered. A member that always fails gets nothing while another one works. */
const SUCCESS_RATE_MIN = 1e-6;
const RESPONSE_MS_MIN = 1e-3;

/** One choice in so many is a review, ... */
export const REVIEW_EVERY_CHOICES = 200;
/** ... for a member whose last sample is at least so old. */
export const REVIEW_AFTER_MS = 30_000;

/**
 * The member with the lowest score:
 *
 *     score = response_time x (in_flight + 1) / success_rate
 *
 * A member without samples is scored with the mean response time of the others. Equals take turns. The choice is a
 * claim on the in-flight count that it was made on: if another thread was faster, it is made again.
 *
 * By the formula alone, a member that once was slow or failing and therefore gets no requests would keep its
 * bad averages for ever. So every 200th choice that a worker makes for a group is a review: it goes to the member
 * whose last sample is the oldest, if that is at least 30 s old. If the request succeeds, the averages begin anew
 * with it; a failure blends in as ever. So the reviews of bad members stay below the 99th percentile, each member
 * has at most one in 30 s, and with little traffic the formula still decides nearly always.
 */
export class ResponseAware implements Policy {
  readonly #members: ScoredMembers;
  readonly #loads: Loads;
  #choices = 0;

  // What #score found: the place among the eligible, and whether others have the same score.
  #best = 0;
  #tied = false;

  /** `count` is the number of all members of the group. */
  constructor(members: ScoredMembers, count: number) {
    this.#members = members;
    this.#loads = new Loads(count);
  }

  choose(eligible: readonly number[], nowMs: number): number {
    const members = this.#members;
    if (eligible.length === 1) {
      members.take(eligible[0]!);
      return eligible[0]!;
    }
    if (++this.#choices % REVIEW_EVERY_CHOICES === 0) {
      const member = this.#dueForReview(eligible, nowMs);
      if (member !== null) {
        members.take(member);
        members.review(member, nowMs);
        return member;
      }
    }
    for (;;) {
      members.read(eligible, this.#loads);
      this.#score(eligible);
      const member = eligible[this.#best]!;
      if (!members.takeIf(member, this.#loads.inFlight[this.#best]!)) continue;
      if (this.#tied) members.tieWon(member);
      return member;
    }
  }

  #dueForReview(eligible: readonly number[], nowMs: number): number | null {
    let due = null;
    let oldestMs = nowMs - REVIEW_AFTER_MS;
    for (const member of eligible) {
      const sampledMs = this.#members.sampledMs(member);
      if (sampledMs > oldestMs || (due !== null && sampledMs === oldestMs)) continue;
      due = member;
      oldestMs = sampledMs;
    }
    return due;
  }

  #score(eligible: readonly number[]): void {
    const { inFlight, responseMs, successRate } = this.#loads;
    const meanMs = mean(responseMs, eligible.length);
    let lastWinner: number | null = null;
    let best = 0;
    let bestScore = Infinity;
    let tied = false;
    for (let place = 0; place < eligible.length; place++) {
      const timeMs = responseMs[place]! < 0 ? meanMs : Math.max(responseMs[place]!, RESPONSE_MS_MIN);
      const score = (timeMs * (inFlight[place]! + 1)) / Math.max(successRate[place]!, SUCCESS_RATE_MIN);
      if (score > bestScore) continue;
      if (score < bestScore) {
        best = place;
        bestScore = score;
        tied = false;
        continue;
      }
      // Of equals the next one after the last winner wins, counting around.
      tied = true;
      lastWinner ??= this.#members.lastTieWinner();
      if (eligible[best]! <= lastWinner && eligible[place]! > lastWinner) best = place;
    }
    this.#best = best;
    this.#tied = tied;
  }
}

/** The mean of those of the first `count` numbers that are not negative; 1 when there are none. */
function mean(numbers: Float64Array, count: number): number {
  let sum = 0;
  let known = 0;
  for (let i = 0; i < count; i++) {
    if (numbers[i]! < 0) continue;
    sum += numbers[i]!;
    known++;
  }
  return known === 0 ? 1 : Math.max(sum / known, RESPONSE_MS_MIN);
}
