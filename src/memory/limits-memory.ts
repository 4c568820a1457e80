import { ByteBudget } from "./byte-budget.ts";
import type { Capacity } from "./capacity.ts";
import { Counters } from "./counter.ts";
import { InFlight } from "./in-flight.ts";
import type { Region } from "./region.ts";
import { WaitingConnections } from "./waiting-connections.ts";

/** What the limits of all threads share, but for the tables of the rate limits, which come and go with forwards. Main and every worker make one over the same buffer. */
export class LimitsMemory {
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

  constructor(region: Region, { workers, forwards }: Pick<Capacity, "workers" | "forwards">) {
    this.connections = new InFlight(region, workers, forwards);
    this.waiting = new WaitingConnections(region, workers, forwards);
    this.requests = new InFlight(region, workers, forwards);
    this.sockets = new InFlight(region, workers, 1);
    this.buffered = new ByteBudget(region, workers);
    this.#socketsMax = new Counters(region, 1);
  }

  /** Sockets that the process may have; 0 = no bound. */
  get socketsMax(): number {
    return this.#socketsMax.read(0);
  }

  set socketsMax(count: number) {
    this.#socketsMax.write(0, Math.min(count, 2 ** 31 - 1));
  }

  /** Gives back what a worker held that has ended, before its replacement starts. */
  giveBackWorker(worker: number): void {
    this.connections.giveBackAll(worker);
    this.waiting.clear(worker);
    this.requests.giveBackAll(worker);
    this.sockets.giveBackAll(worker);
    this.buffered.giveBackAll(worker);
  }
}
