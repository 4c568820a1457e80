import { ByteBudget } from "./byte-budget.ts";
import { Counters } from "./counter.ts";
import { InFlight } from "./in-flight.ts";
import { RateLimitTable } from "./rate-limit-table.ts";
import type { Region } from "./region.ts";
import { WaitingConnections } from "./waiting-connections.ts";

/** What the memory of the limits is made for. */
export interface LimitsCapacity {
  readonly workers: number;
  /** Forward ids run from 0 to one less. */
  readonly forwards: number;
  /** By forward id: clients that its rate limit can tell apart; 0, and no memory, where there is no limit. */
  readonly clients: readonly number[];
}

/** What a plan needs room for. */
export interface LimitedForwards {
  readonly forwards: readonly {
    readonly id: number;
    readonly ratelimit: { readonly clients: number } | null;
  }[];
}

const FORWARDS_MIN = 16;

/** Gives room for the plan, and for as many forwards again without a rate limit. */
export function proposeLimitsCapacity(plan: LimitedForwards, workers: number): LimitsCapacity {
  const { forwards, clients } = needed(plan);
  return { workers, forwards: Math.max(FORWARDS_MIN, 2 * forwards), clients };
}

/** True when a memory of this capacity can hold the plan: no forward has a new limit, or another number of clients. */
export function limitsFit(capacity: LimitsCapacity, plan: LimitedForwards): boolean {
  const { forwards, clients } = needed(plan);
  if (forwards > capacity.forwards) return false;
  return clients.every((count, forward) => count === 0 || count === capacity.clients[forward]);
}

function needed({ forwards }: LimitedForwards): { forwards: number; clients: readonly number[] } {
  const count = forwards.reduce((most, { id }) => Math.max(most, id + 1), 0);
  const clients = new Array<number>(count).fill(0);
  for (const { id, ratelimit } of forwards) clients[id] = ratelimit?.clients ?? 0;
  return { forwards: count, clients };
}

/** What the limits of all threads share. Main and every worker make one over the same buffer. */
export class LimitsMemory {
  /** By forward id; null where there is no rate limit. */
  readonly rateLimits: readonly (RateLimitTable | null)[];
  /** Open client connections, by forward. */
  readonly connections: InFlight;
  /** Those of them that wait for a request, by worker and forward. */
  readonly waiting: WaitingConnections;
  /** Requests let in and not answered, by forward. */
  readonly requests: InFlight;
  /** Client connections, requests in progress with one to an upstream each, and those to upstreams at rest. At index 0. */
  readonly sockets: InFlight;
  /** Bytes of request bodies held. */
  readonly buffered: ByteBudget;
  readonly #socketsMax: Counters;

  constructor(region: Region, { workers, forwards, clients }: LimitsCapacity) {
    this.connections = new InFlight(region, workers, forwards);
    this.waiting = new WaitingConnections(region, workers, forwards);
    this.requests = new InFlight(region, workers, forwards);
    this.sockets = new InFlight(region, workers, 1);
    this.buffered = new ByteBudget(region, workers);
    this.#socketsMax = new Counters(region, 1);
    this.rateLimits = clients.map((count) => (count === 0 ? null : new RateLimitTable(region, count)));
  }

  /** Sockets that the process may have; 0 = no bound. */
  get socketsMax(): number {
    return this.#socketsMax.read(0);
  }

  set socketsMax(count: number) {
    this.#socketsMax.write(0, Math.min(count, 2 ** 31 - 1));
  }

  /** Sets the keys of the hashes, before any thread uses them. `random` gives 32 random bits. */
  seed(random: () => number): void {
    for (const table of this.rateLimits) table?.seed(random(), random());
  }

  /** Gives back what a worker held that has ended, before its replacement starts. */
  giveBackWorker(worker: number): void {
    this.connections.giveBackAll(worker);
    this.waiting.clear(worker);
    this.requests.giveBackAll(worker);
    this.sockets.giveBackAll(worker);
    this.buffered.giveBackAll(worker);
    for (const table of this.rateLimits) table?.giveBackAll(worker);
  }
}
