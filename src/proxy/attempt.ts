import type { Lease } from "../balancer/lease.ts";
import type { Outcome } from "../balancer/outcome.ts";
import type { AccessAttempt } from "../observe/access-log.ts";
import { alignedMs } from "../shared/clock.ts";
import type { ProxyEvents } from "./events.ts";
import type { PairMetrics } from "./upstream-metrics.ts";

/**
 * One attempt on a leased upstream. Its end, of which there is one whatever happens, releases the lease and is
 * counted.
 */
export class Attempt implements AccessAttempt {
  readonly upstream: string;
  readonly metrics: PairMetrics;
  readonly probe: boolean;
  readonly beganMs: number;
  status: number | null = null;
  error: string | null = null;
  private readonly lease: Lease;
  private readonly events: ProxyEvents;
  private endedMs: number | null = null;

  /** `upstream` is its name; `beganMs`: `performance.now()` when it began. */
  constructor(lease: Lease, upstream: string, metrics: PairMetrics, events: ProxyEvents, beganMs: number) {
    this.lease = lease;
    this.upstream = upstream;
    this.probe = lease.probe;
    this.metrics = metrics;
    this.beganMs = beganMs;
    this.events = events;
    metrics.requests.add(1);
  }

  /** Milliseconds from its beginning to its end, or until now. */
  get ms(): number {
    return (this.endedMs ?? performance.now()) - this.beganMs;
  }

  /**
   * Ends it. The second call does nothing. `status`: of the answer, null when there was none. `endedMs`: `performance.now()`,
   * for those who have just read it.
   */
  end(outcome: Outcome, status: number | null, endedMs: number = performance.now()): void {
    if (this.endedMs !== null) return;
    this.endedMs = endedMs;
    this.status = status;
    this.metrics.duration.observe((endedMs - this.beganMs) / 1000);
    if (outcome.kind !== "success") {
      this.error = outcome.error;
      if (outcome.kind !== "abandoned") this.metrics.failed(outcome.error);
    }
    this.events.settling = this.error;
    this.lease.release(outcome, alignedMs(endedMs));
  }
}
