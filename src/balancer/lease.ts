import type { Admission } from "./breaker.ts";
import type { Member } from "./member.ts";
import type { Outcome } from "./outcome.ts";

/** The right to send one request to one upstream. It is in flight there until the lease is released. */
export class Lease {
  readonly kind = "lease";
  /** Id of the upstream. */
  readonly upstream: number;
  /** True when the request probes a half-open breaker. */
  readonly probe: boolean;
  readonly #member: Member;
  readonly #admission: Admission | null;
  readonly #review: boolean;
  #released = false;

  /** `review`: a success is to replace the averages of the upstream instead of blending in. */
  constructor(member: Member, admission: Admission | null, review: boolean) {
    this.upstream = member.upstream;
    this.probe = admission !== null && admission.probe !== null;
    this.#member = member;
    this.#admission = admission;
    this.#review = review;
  }

  /** Ends it: in-flight, averages and breaker learn from the outcome. The second call does nothing. */
  release(outcome: Outcome, nowMs: number): void {
    if (this.#released) return;
    this.#released = true;
    this.#member.settle(this.#admission, this.#review, outcome, nowMs);
  }
}
