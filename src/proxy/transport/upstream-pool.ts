import type { RestingSockets, SocketBudget } from "../../limits/socket-budget.ts";
import { deadlineQueue } from "../../shared/deadlines.ts";
import { Dial, type DialEvents, type DialTarget } from "./dial.ts";
import type { SocketCall } from "./socket-call.ts";
import type { OwnedSocket } from "./socket-owner.ts";
import type { FailureCode } from "./transport.ts";
import { UpstreamConnection } from "./upstream-connection.ts";

/** Dials at a time; who needs more waits. A burst must not overflow the queue of the upstream's listening socket. */
const DIALS_MAX = 256;
/**
 * With so many dials that are late the upstream is out of reach: further ones would only use up descriptors. All but
 * one at a time, which tells when it is back, long before the kernel tries the late ones again.
 */
const LATE_DIALS_MAX = 64;

/** Where sockets are counted that no request stands for, as a process may not have any number of files. */
export type SocketRoom = Pick<SocketBudget, "take" | "giveBack" | "watch" | "unwatch">;

/** How the connections of one pool are kept. */
export interface PoolOptions {
  /** How long an unused connection is kept; 0 = connections are used once. */
  readonly idleMs: number;
  /** Unused connections that are kept at a time. */
  readonly idleMax: number;
  /** Silence after which TCP asks whether the peer is still there; 0 = never. */
  readonly keepAliveMs: number;
  readonly sockets: SocketRoom;
}

/**
 * The connections of this thread to one origin: the unused ones, last in first out so that the surplus of a
 * burst ages and goes, and the calls that wait for one. Whatever comes first serves the one that has waited longest: a
 * connection that is given back or a new one.
 */
export class UpstreamPool implements DialEvents, RestingSockets {
  /** `host:port` for the `Host` field. */
  readonly host: string;
  readonly keepsConnections: boolean;
  readonly keepAliveMs: number;
  readonly connectLimitMs: number;
  private readonly target: DialTarget;
  private readonly options: PoolOptions;
  private readonly idle: UpstreamConnection[] = [];
  private readonly waiting = new Set<SocketCall>();
  private dials = 0;
  private lateDials = 0;
  private isClosed = false;

  constructor(host: string, target: DialTarget, options: PoolOptions) {
    this.host = host;
    this.target = target;
    this.connectLimitMs = target.limitMs;
    this.options = options;
    this.keepsConnections = options.idleMs > 0;
    this.keepAliveMs = options.keepAliveMs;
    options.sockets.watch(this);
  }

  /** Unused connections. */
  get size(): number {
    return this.idle.length;
  }

  /** Finds a connection for a call, now or later. */
  serve(call: SocketCall): void {
    const connection = this.idle.pop();
    if (connection === undefined) {
      this.wait(call);
      return;
    }
    this.options.sockets.giveBack();
    connection.begin(call);
  }

  /** Lets a call wait for a connection. */
  wait(call: SocketCall): void {
    this.waiting.add(call);
    // Its limit before that of the dial: it must not get another one in its last moment.
    call.limitWaiting();
    this.dialForWaiting();
  }

  /** The call no longer waits. What was begun for it may serve others. */
  leave(call: SocketCall): void {
    this.waiting.delete(call);
  }

  /** Takes back a connection whose last response ended cleanly. `idleMs`: how long its peer keeps it, at most. */
  release(connection: UpstreamConnection, idleMs: number): void {
    const next = this.nextWaiting();
    if (next !== null) {
      connection.begin(next);
      return;
    }
    const keepMs = Math.min(idleMs, this.options.idleMs);
    if (this.isClosed || keepMs <= 0 || this.idle.length >= this.options.idleMax || !this.hasRoom()) {
      connection.close();
      return;
    }
    this.idle.push(connection);
    connection.idleDeadline.arm(deadlineQueue(keepMs));
  }

  /** An unused connection is closed, or no longer trusted. */
  forget(connection: UpstreamConnection): void {
    const at = this.idle.indexOf(connection);
    if (at < 0) return;
    this.idle.splice(at, 1);
    this.options.sockets.giveBack();
  }

  /** Closes the connection that has been unused for longest, for the sake of another one. False: there is none. */
  closeLongest(): boolean {
    const longest = this.idle[0];
    if (longest === undefined) return false;
    this.forget(longest);
    longest.close();
    return true;
  }

  /** Closes the unused connections, and from now on those that are given back. */
  close(): void {
    this.isClosed = true;
    while (this.closeLongest());
    this.options.sockets.unwatch(this);
  }

  onUp(dial: Dial, socket: OwnedSocket): void {
    this.discount(dial);
    this.release(new UpstreamConnection(socket, this), Number.POSITIVE_INFINITY);
    this.dialForWaiting();
  }

  onFailed(dial: Dial, failed: FailureCode): void {
    this.discount(dial);
    // As many may wait as dials are under way: the one that has waited longest bears the failure.
    if (!dial.isLate && this.waiting.size > this.dials)
      this.nextWaiting()?.fail({ failed, reach: "not-connected" });
    this.dialForWaiting();
  }

  onLate(_: Dial, pending: boolean): void {
    this.dials--;
    if (pending) {
      this.lateDials++;
      // The request that it was made for goes on without it.
      this.options.sockets.take();
    }
    this.dialForWaiting();
  }

  private discount(dial: Dial): void {
    if (!dial.isLate) {
      this.dials--;
      return;
    }
    this.lateDials--;
    this.options.sockets.giveBack();
  }

  /** Takes a place for one more unused connection, if there is one that nobody else needs. */
  private hasRoom(): boolean {
    const { sockets } = this.options;
    if (sockets.take() < 0) return true;
    sockets.giveBack();
    return false;
  }

  private nextWaiting(): SocketCall | null {
    for (const call of this.waiting) {
      this.waiting.delete(call);
      return call;
    }
    return null;
  }

  private dialForWaiting(): void {
    while (this.dials < Math.min(this.waiting.size, this.lateDials < LATE_DIALS_MAX ? DIALS_MAX : 1)) {
      this.dials++;
      new Dial(this.target, this).start();
    }
  }
}
