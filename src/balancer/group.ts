import type { BalancerMemory } from "../memory/balancer-memory.ts";
import { deadlineMark, deadlineMs } from "../memory/deadline.ts";
import type { Admission } from "./breaker.ts";
import type { GroupState } from "./group-state.ts";
import { Lease } from "./lease.ts";
import type { Member } from "./member.ts";
import type { Policy } from "./policies/policy.ts";
import type { Trail } from "./trail.ts";

/** Why a request cannot be sent anywhere. */
export interface Unavailable {
  readonly kind: "unavailable";
  /**
   * `exhausted`: every member was tried. Otherwise what keeps the untried ones: `limited` when all of
   * them asked to be left alone by a 429, else `broken`.
   */
  readonly reason: "exhausted" | "limited" | "broken";
  /** When the first of the untried may be tried again; null when exhausted. */
  readonly retryAtMs: number | null;
}

/** What a group still offers to a request after an attempt on one of its members. */
export interface Outlook {
  /** An `acquire` would find a member that the request has not tried. */
  readonly untried: boolean;
  /** Milliseconds until the member of the last attempt takes requests again; null = its breaker is open. */
  readonly last: number | null;
  /** The same for the first of all the others; null = there are none, or all of their breakers are open. */
  readonly others: number | null;
}

/**
 * One group, seen from one worker. A member may be used when the request has not tried it yet, its breaker lets
 * calls pass, it has room for one more request, and it did not ask to be left alone.
 *
 * A member that rests works, only not now. So when it is the only one left that works, because it is alone in its
 * group or the others are full, refused by their breakers, or have just failed this request, it is used all the same:
 * resting would only turn its answer into ours. While two or more members rest, they are left alone.
 */
export class Group {
  readonly #members: readonly Member[];
  readonly #memory: BalancerMemory;
  readonly #state: GroupState;
  readonly #policy: Policy;
  readonly #rejected: (upstream: number) => void;

  // What #survey found. One request at a time: nothing here awaits.
  readonly #eligible: number[] = [];
  readonly #refusing: number[] = [];
  #untried = 0;
  #unbroken = 0;
  #resting = -1;
  #allLimited = true;
  #retryAtMs = Infinity;

  /** `rejected` is called when a breaker turns a request down, once for each request and upstream. */
  constructor(
    members: readonly Member[],
    memory: BalancerMemory,
    state: GroupState,
    policy: Policy,
    rejected: (upstream: number) => void,
  ) {
    this.#members = members;
    this.#memory = memory;
    this.#state = state;
    this.#policy = policy;
    this.#rejected = rejected;
  }

  acquire(trail: Trail, nowMs: number, leaseMs: number): Lease | Unavailable {
    // A breaker or other requests can close the way between the survey and the choice; then everything is looked at
    // again, but not for ever.
    for (let round = 0; round <= this.#members.length; round++) {
      this.#survey(trail, nowMs);
      if (this.#refusing.length > 0) this.#reject(trail);
      if (this.#eligible.length === 0) break;
      this.#state.reviewed = false;
      const place = this.#policy.choose(this.#eligible, nowMs);
      const member = this.#members[place]!;
      if (!member.hadRoom(this.#state.inFlightBefore)) {
        this.#state.giveBack(place);
        continue;
      }
      let admission: Admission | null = null;
      if (member.breaker !== null) {
        admission = member.breaker.admit(nowMs, leaseMs);
        if (admission === null) {
          this.#state.giveBack(place);
          continue;
        }
      }
      trail.try(member.upstream);
      return new Lease(member, admission, this.#state.reviewed);
    }
    if (this.#untried === 0) return { kind: "unavailable", reason: "exhausted", retryAtMs: null };
    // Somebody was left, but others were faster each time.
    if (this.#eligible.length > 0) return { kind: "unavailable", reason: "broken", retryAtMs: nowMs };
    const reason = this.#allLimited ? "limited" : "broken";
    return { kind: "unavailable", reason, retryAtMs: this.#retryAtMs };
  }

  #reject(trail: Trail): void {
    for (const upstream of this.#refusing) if (trail.reject(upstream)) this.#rejected(upstream);
  }

  /** What is left to a request whose last attempt was on this upstream. A question without side effects. */
  outlook(trail: Trail, lastUpstream: number, nowMs: number): Outlook {
    this.#survey(trail, nowMs);
    const untried = this.#eligible.length > 0;
    let last: number | null = null;
    let others: number | null = null;
    for (const { upstream, breaker } of this.#members) {
      if (breaker !== null && breaker.refusedUntilMs(nowMs) !== null) continue;
      const restMs = Math.max(0, deadlineMs(this.#memory.rests.read(upstream)) - nowMs);
      if (upstream === lastUpstream) last = restMs;
      else others = Math.min(others ?? restMs, restMs);
    }
    return { untried, last, others };
  }

  /** Finds who may be used, and what to say if nobody may. */
  #survey(trail: Trail, nowMs: number): void {
    this.#eligible.length = 0;
    this.#refusing.length = 0;
    this.#untried = 0;
    this.#unbroken = 0;
    this.#resting = -1;
    this.#allLimited = true;
    this.#retryAtMs = Infinity;
    for (let place = 0; place < this.#members.length; place++) this.#look(place, trail, nowMs);
    const last = this.#unbroken === 1 && this.#eligible.length === 0;
    if (last && this.#resting >= 0) this.#eligible.push(this.#resting);
  }

  #look(place: number, trail: Trail, nowMs: number): void {
    const member = this.#members[place]!;
    const brokenUntilMs = member.breaker === null ? null : member.breaker.refusedUntilMs(nowMs);
    // A full one may have room again at any moment.
    const refusedUntilMs = brokenUntilMs ?? (member.full ? nowMs : null);
    const rest = this.#memory.rests.read(member.upstream);
    const restingUntilMs = deadlineMs(rest);
    const resting = restingUntilMs > nowMs;
    if (trail.tried(member.upstream)) {
      if (refusedUntilMs === null && resting) this.#unbroken++;
      return;
    }
    if (refusedUntilMs === null) this.#unbroken++;
    this.#untried++;
    if (refusedUntilMs === null && !resting) {
      this.#eligible.push(place);
      return;
    }
    if (refusedUntilMs === null) this.#resting = place;
    else if (brokenUntilMs !== null) this.#refusing.push(member.upstream);
    if (refusedUntilMs !== null || deadlineMark(rest) === 0) this.#allLimited = false;
    this.#retryAtMs = Math.min(this.#retryAtMs, Math.max(refusedUntilMs ?? 0, restingUntilMs, nowMs));
  }
}
