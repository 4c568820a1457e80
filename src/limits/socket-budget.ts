import type { IdleConnections } from "../http/idle-connections.ts";
import type { LimitsMemory } from "../memory/limits-memory.ts";

/** There may be so many beyond the bound for a moment: those that are told so, and those for which others are being closed. */
export const SOCKETS_EXCESS_MAX = 16;

/**
 * The sockets of all workers: those of clients, and one to an upstream for each request in progress. There may be as
 * many as the process may open files. Beyond that, connections that wait for a request are closed
 * for the sake of those that have one, so that nobody can keep others out by holding connections open.
 */
export class SocketBudget {
  readonly #memory: LimitsMemory;
  readonly #worker: number;
  readonly #idle = new Set<IdleConnections>();

  constructor(memory: LimitsMemory, worker: number) {
    this.#memory = memory;
    this.#worker = worker;
  }

  /** Connections of this worker that may be closed to make room. */
  watch(idle: IdleConnections): void {
    this.#idle.add(idle);
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
   * Makes room for one beyond the bound by as many as `take` gave: a connection that waits is closed, where most of them
   * are; if that is in another worker, it is asked to. False: there is none.
   */
  makeRoom(excess: number): boolean {
    const { waiting } = this.#memory;
    const most = excess < SOCKETS_EXCESS_MAX ? waiting.most(null) : null;
    if (most !== null && most.worker !== this.#worker) return waiting.ask(most);
    return this.#closeOne();
  }

  /** Closes a connection of this worker that waits, of the listener that has most of them. */
  #closeOne(): boolean {
    let most: IdleConnections | null = null;
    for (const idle of this.#idle) if (most === null || idle.size > most.size) most = idle;
    return most !== null && most.closeLongest();
  }
}
