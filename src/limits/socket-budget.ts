import type { LimitsMemory } from "../memory/limits-memory.ts";

/** There may be so many beyond the bound for a moment: those that are told so, and those for which others are being closed. */
export const SOCKETS_EXCESS_MAX = 16;

/** Connections at rest, of which one can be closed to make room for another. */
export interface RestingSockets {
  readonly size: number;
  /** Closes the one that has waited longest. False: there is none. */
  closeLongest(): boolean;
}

/**
 * The sockets of all workers: those of clients, one to an upstream for each request in progress, and those to upstreams
 * that are kept for the next one. There may be as many as the process may open files. Beyond that, connections that
 * wait for a request are closed for the sake of those that have one, so that nobody can keep others out by holding
 * connections open.
 */
export class SocketBudget {
  readonly #memory: LimitsMemory;
  readonly #worker: number;
  readonly #resting = new Set<RestingSockets>();

  constructor(memory: LimitsMemory, worker: number) {
    this.#memory = memory;
    this.#worker = worker;
  }

  /** Connections of this worker that may be closed to make room. */
  watch(resting: RestingSockets): void {
    this.#resting.add(resting);
  }

  /** They are no longer of interest. */
  unwatch(resting: RestingSockets): void {
    this.#resting.delete(resting);
  }

  /** Takes one, and gives how many there were beyond the bound: below zero, it was within. */
  take(): number {
    const { sockets, socketsMax } = this.#memory;
    const before = sockets.take(this.#worker, 0);
    return socketsMax > 0 ? before - socketsMax : -1;
  }

  /** True while there are more than there may be. */
  isBeyond(): boolean {
    const { sockets, socketsMax } = this.#memory;
    return socketsMax > 0 && sockets.read(0) > socketsMax;
  }

  giveBack(): void {
    this.#memory.sockets.giveBack(this.#worker, 0);
  }

  /**
   * Makes room for one beyond the bound by as many as `take` gave: a connection that waits is closed, of the listener
   * or upstream that has most of them. If that is a listener of another worker, it is asked to. False: there is none.
   */
  makeRoom(excess: number): boolean {
    const { waiting } = this.#memory;
    let most: RestingSockets | null = null;
    for (const resting of this.#resting) if (most === null || resting.size > most.size) most = resting;
    const place = excess < SOCKETS_EXCESS_MAX ? waiting.most(null) : null;
    if (place !== null && place.worker !== this.#worker && place.count > (most?.size ?? 0))
      return waiting.ask(place);
    return most !== null && most.closeLongest();
  }
}
