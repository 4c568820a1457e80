// Stands in for src/proxy/observation.ts in the build that observes nothing.
import type { Lease } from "../../../../src/balancer/lease.ts";
import { Attempt } from "./attempt.ts";

export class Observation {
  error: string | null = null;
  readonly workingSinceMs = performance.now();
  admitted(): void {}
  refused(): void {}
  answered(): void {}
  pause(): void {}
  resume(): void {}
  noteRejected(): void {}
  clientDone(): void {}
  done(): void {}

  attempt(lease: Lease, beganMs: number): Attempt {
    return new Attempt(lease, beganMs);
  }
}
