import type { InFlight } from "../memory/in-flight.ts";
import type { SocketBudget } from "./socket-budget.ts";

/** Counts the requests of one forward that are let in and not answered, over all workers. */
export class RequestGate {
  readonly #requests: InFlight;
  readonly #sockets: SocketBudget;
  readonly #worker: number;
  readonly #forward: number;
  readonly #requestsMax: number | null;

  /** `requestsMax`: null = no limit. */
  constructor(
    requests: InFlight,
    sockets: SocketBudget,
    worker: number,
    forward: number,
    requestsMax: number | null,
  ) {
    this.#requests = requests;
    this.#sockets = sockets;
    this.#worker = worker;
    this.#forward = forward;
    this.#requestsMax = requestsMax;
  }

  /** True when a request would not be let in now: known before its body is read. */
  get full(): boolean {
    return this.#requestsMax !== null && this.#requests.read(this.#forward) >= this.#requestsMax;
  }

  /** Lets a request in, unless there are too many, or no socket for it. True: `leave` must follow, once. */
  enter(): boolean {
    const before = this.#requests.take(this.#worker, this.#forward);
    const socketExcess = this.#sockets.take();
    const fits = this.#requestsMax === null || before < this.#requestsMax;
    if (fits && (socketExcess < 0 || this.#sockets.makeRoom(socketExcess))) return true;
    this.leave();
    return false;
  }

  leave(): void {
    this.#requests.giveBack(this.#worker, this.#forward);
    this.#sockets.giveBack();
  }
}
