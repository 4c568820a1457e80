// Stands in for src/proxy/attempt.ts in the build that observes nothing.
import type { Lease } from "../../../../src/balancer/lease.ts";
import type { Outcome } from "../../../../src/balancer/outcome.ts";
import { nowMs } from "../../../../src/shared/clock.ts";

export class Attempt {
  readonly beganMs: number;
  private readonly lease: Lease;

  constructor(lease: Lease, beganMs: number) {
    this.lease = lease;
    this.beganMs = beganMs;
  }

  end(outcome: Outcome): void {
    this.lease.release(outcome, nowMs());
  }
}
