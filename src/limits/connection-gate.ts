import type { ConnectionDoor } from "../http/exchange.ts";
import type { IdleConnections } from "../http/idle-connections.ts";
import type { InFlight } from "../memory/in-flight.ts";
import type { SocketBudget } from "./socket-budget.ts";

/** So many connections beyond the limit are told so; what comes on top is closed at once. */
const REFUSED_MAX = 256;
/** The same where it is sockets that are wanting. */
const REFUSED_SOCKETS_MAX = 16;

/**
 * Counts the client connections of one forward over all workers, and says which ones are too many. A new one
 * takes the place of the one that has waited longest for a request, of those in the same worker; it is turned
 * away only where all others are busy.
 */
export class ConnectionGate implements ConnectionDoor {
  readonly #connections: InFlight;
  readonly #sockets: SocketBudget;
  readonly #worker: number;
  readonly #forward: number;
  readonly #connectionsMax: number;

  constructor(
    connections: InFlight,
    sockets: SocketBudget,
    worker: number,
    forward: number,
    connectionsMax: number,
  ) {
    this.#connections = connections;
    this.#sockets = sockets;
    this.#worker = worker;
    this.#forward = forward;
    this.#connectionsMax = connectionsMax;
  }

  enter(idle: IdleConnections): "serve" | "refuse" | "close" {
    this.#sockets.watch(idle);
    const excess = this.#connections.take(this.#worker, this.#forward) - this.#connectionsMax;
    const socketExcess = this.#sockets.take();
    const madeRoom = excess >= 0 && idle.closeLongest();
    const fits = excess < 0 || madeRoom;
    if (fits && (socketExcess < 0 || madeRoom || this.#sockets.makeRoom())) return "serve";
    return excess < REFUSED_MAX && socketExcess < REFUSED_SOCKETS_MAX ? "refuse" : "close";
  }

  leave(): void {
    this.#connections.giveBack(this.#worker, this.#forward);
    this.#sockets.giveBack();
  }
}
