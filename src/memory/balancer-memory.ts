import type { Capacity } from "./capacity.ts";
import { Counters } from "./counter.ts";
import { Deadlines } from "./deadline.ts";
import { InFlight } from "./in-flight.ts";
import { MovingAverages } from "./moving-average.ts";
import { Probes } from "./probes.ts";
import type { Region } from "./region.ts";
import { RetryBudget } from "./retry-budget.ts";
import { RollingWindows } from "./rolling-window.ts";
import { Snapshots } from "./snapshots.ts";
import { StateWords } from "./state-word.ts";

/** Up to 35 minutes in steps of a thousandth of a millisecond. */
const RESPONSE_FRACTION_BITS = 10;
/** 0 to just under 2 in steps of a billionth. */
const RATE_FRACTION_BITS = 30;

/** What the balancers of all threads share. Main and every worker make one over the same buffer. */
export class BalancerMemory {
  // Per upstream.
  readonly inFlight: InFlight;
  readonly responseMs: MovingAverages;
  readonly successRate: MovingAverages;
  /** Tick of the last sample that an average took in. */
  readonly sampledTick: Counters;
  readonly breakers: StateWords;
  readonly breakerCalls: RollingWindows;
  readonly probes: Probes;
  readonly opened: Counters;
  readonly halfOpened: Counters;
  readonly closed: Counters;
  /** Until when an upstream asked to be left alone; the mark is 1 for rate limiting. */
  readonly rests: Deadlines;

  // Per group.
  readonly rotations: Snapshots;
  /** The member that won the last tie of scores, plus one. */
  readonly tieWinners: Counters;
  readonly retries: RetryBudget;

  constructor(region: Region, capacity: Capacity) {
    const { workers, upstreams, groups } = capacity;
    this.inFlight = new InFlight(region, workers, upstreams);
    this.responseMs = new MovingAverages(region, upstreams, RESPONSE_FRACTION_BITS);
    this.successRate = new MovingAverages(region, upstreams, RATE_FRACTION_BITS);
    this.sampledTick = new Counters(region, upstreams);
    this.breakers = new StateWords(region, upstreams);
    this.breakerCalls = new RollingWindows(region, upstreams);
    this.probes = new Probes(region, workers, upstreams, capacity.probes);
    this.opened = new Counters(region, upstreams);
    this.halfOpened = new Counters(region, upstreams);
    this.closed = new Counters(region, upstreams);
    this.rests = new Deadlines(region, upstreams);
    this.rotations = new Snapshots(region, workers, groups, capacity.members);
    this.tieWinners = new Counters(region, groups);
    this.retries = new RetryBudget(region, groups);
  }

  /**
   * Gives back what a worker held that has ended: requests in flight and probes. Before its replacement
   * starts, as that one uses the same stripes.
   */
  giveBackWorker(worker: number): void {
    this.inFlight.giveBackAll(worker);
    this.probes.giveBackAll(worker);
  }

  /** Forgets the history of an upstream whose slot another one is to take. Only while it has nothing in flight. */
  clearUpstream(upstream: number): void {
    this.responseMs.clear(upstream);
    this.successRate.clear(upstream);
    this.sampledTick.write(upstream, 0);
    this.breakers.clear(upstream);
    this.breakerCalls.clear(upstream);
    this.probes.clear(upstream);
    this.opened.write(upstream, 0);
    this.halfOpened.write(upstream, 0);
    this.closed.write(upstream, 0);
    this.rests.clear(upstream);
  }

  /** Forgets the history of a group whose slot another one is to take. Its rotation is known by its members. */
  clearGroup(group: number): void {
    this.tieWinners.write(group, 0);
    this.retries.clear(group);
  }
}
