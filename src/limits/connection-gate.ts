import type { ConnectionDoor } from "../http/exchange.ts";
import type { IdleConnections } from "../http/idle-connections.ts";
import type { LimitsMemory } from "../memory/limits-memory.ts";
import { type SocketBudget, SOCKETS_EXCESS_MAX } from "./socket-budget.ts";

/** So many connections beyond the limit are told so, or served before others have gone; what comes on top is closed at once. */
const EXCESS_MAX = 256;

/**
 * Counts the client connections of one forward over all workers, and says which ones are too many. A new one
 * takes the place of one that waits for a request: the one that has waited longest of those in the same worker, else one
 * of another worker, which is asked to close it. It is turned away only where all others are busy.
 */
export class ConnectionGate implements ConnectionDoor {
  readonly #memory: LimitsMemory;
  readonly #sockets: SocketBudget;
  readonly #worker: number;
  readonly #forward: number;
  readonly #connectionsMax: number;
  #idle: IdleConnections | null = null;

  constructor(
    memory: LimitsMemory,
    sockets: SocketBudget,
    worker: number,
    forward: number,
    connectionsMax: number,
  ) {
    this.#memory = memory;
    this.#sockets = sockets;
    this.#worker = worker;
    this.#forward = forward;
    this.#connectionsMax = connectionsMax;
  }

  enter(idle: IdleConnections): "serve" | "refuse" | "close" {
    const { connections, waiting } = this.#memory;
    const excess = connections.take(this.#worker, this.#forward) - this.#connectionsMax;
    const socketExcess = this.#sockets.take();
    const madeRoom = excess >= 0 && idle.closeLongest();
    const fits = excess < 0 || madeRoom || (excess < EXCESS_MAX && waiting.ask(waiting.most(this.#forward)));
    if (fits && (socketExcess < 0 || madeRoom || this.#sockets.makeRoom(socketExcess))) return "serve";
    return excess < EXCESS_MAX && socketExcess < SOCKETS_EXCESS_MAX ? "refuse" : "close";
  }

  leave(): void {
    this.#memory.connections.giveBack(this.#worker, this.#forward);
    this.#sockets.giveBack();
  }

  waiting(idle: IdleConnections): void {
    this.#memory.waiting.write(this.#worker, this.#forward, idle.size);
    if (this.#idle === idle) return;
    this.#idle = idle;
    this.#sockets.watch(idle);
  }

  forget(idle: IdleConnections): void {
    this.#memory.waiting.write(this.#worker, this.#forward, 0);
    this.#sockets.unwatch(idle);
  }

  /** Closes connections that wait, as other workers have asked for. To be called now and then. */
  closeAsked(): void {
    const { waiting } = this.#memory;
    for (;;) {
      const asked = waiting.asked(this.#worker, this.#forward);
      if (asked <= 0) return;
      if (!this.#isBeyond() && !this.#sockets.isBeyond()) {
        waiting.settle(this.#worker, this.#forward, asked);
        return;
      }
      // Those that have become busy since are closed when they wait again.
      if (!this.#idle?.closeLongest()) return;
      waiting.settle(this.#worker, this.#forward, 1);
    }
  }

  #isBeyond(): boolean {
    return this.#memory.connections.read(this.#forward) > this.#connectionsMax;
  }
}
