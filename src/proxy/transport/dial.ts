import type { TLSOptions } from "bun";

import { Deadline, deadlineQueue } from "../../shared/deadlines.ts";
import type { HostAddresses } from "./host-addresses.ts";
import { type OwnedSocket, socketHandler, type SocketOwner, tlsSocketHandler } from "./socket-owner.ts";
import type { FailureCode } from "./transport.ts";

/** How long an address may take before the next one is tried beside it (RFC 8305 5, "Connection Attempt Delay"). */
const STAGGER_MS = 250;

/** Where to connect to. */
export interface DialTarget {
  readonly addresses: Pick<HostAddresses, "get" | "demote" | "doubt">;
  readonly port: number;
  /** Null = no TLS. */
  readonly tls: TLSOptions | null;
  readonly limitMs: number;
}

/** What becomes of a dial: `onUp` or `onFailed`, once; `onLate` may come before. */
export interface DialEvents {
  onUp(dial: Dial, socket: OwnedSocket): void;
  onFailed(dial: Dial, failed: FailureCode): void;
  /** The limit is over. `pending`: a connection may still come up, and be of use; else this was the end. */
  onLate(dial: Dial, pending: boolean): void;
}

/**
 * One effort to connect to a host, TLS included: its addresses one after the other, the next one beside the
 * last when that takes its time; the first that is up wins. https://www.rfc-editor.org/rfc/rfc8305
 *
 * A connection that is being made cannot be called back in Bun. So a dial may outlive its limit, for as long as the
 * kernel tries (about two minutes on Linux), and whoever counts dials has to count those too.
 */
export class Dial {
  /** The limit is over. */
  isLate = false;
  private readonly target: DialTarget;
  private readonly events: DialEvents;
  private isOver = false;
  private addresses: readonly string[] = [];
  private tried = 0;
  private readonly pending = new Set<PendingSocket>();
  private readonly stagger = new Deadline(() => this.tryNext());
  private readonly limit = new Deadline(() => this.expire());

  constructor(target: DialTarget, events: DialEvents) {
    this.target = target;
    this.events = events;
  }

  start(): void {
    this.limit.arm(deadlineQueue(this.target.limitMs));
    this.target.addresses.get((addresses) => {
      if (this.isOver) return;
      this.addresses = addresses;
      if (addresses.length === 0) this.fail("dns");
      else this.tryNext();
    });
  }

  /** A connection is up. */
  won(winner: PendingSocket, socket: OwnedSocket): void {
    this.pending.delete(winner);
    if (this.isOver) {
      socket.end();
      return;
    }
    this.end();
    for (const slower of this.pending) {
      this.target.addresses.demote(slower.address);
      slower.drop();
    }
    this.events.onUp(this, socket);
  }

  /** A connection could not be made. */
  lost(loser: PendingSocket, failed: FailureCode): void {
    this.pending.delete(loser);
    if (this.isOver) return;
    this.target.addresses.demote(loser.address);
    if (!this.isLate && this.tried < this.addresses.length) this.tryNext();
    else if (this.pending.size === 0) this.fail(failed);
  }

  private tryNext(): void {
    const address = this.addresses[this.tried++];
    if (address === undefined) return;
    const { port, tls } = this.target;
    const owner = new PendingSocket(this, address, tls !== null);
    this.pending.add(owner);
    if (this.tried < this.addresses.length) this.stagger.arm(deadlineQueue(this.staggerMs()));
    else this.stagger.cancel();
    const socket = tls === null ? socketHandler : tlsSocketHandler;
    Bun.connect<SocketOwner>({
      hostname: address,
      port,
      socket,
      data: owner,
      ...(tls === null ? {} : { tls }),
    })
      // Where `onConnectError` was told, this changes nothing.
      .catch(() => owner.onConnectError(""));
  }

  /** Less where the limit leaves less: all addresses are tried within it. */
  private staggerMs(): number {
    return Math.min(STAGGER_MS, Math.floor(this.target.limitMs / (this.addresses.length + 1)));
  }

  private expire(): void {
    this.isLate = true;
    this.stagger.cancel();
    for (const pending of this.pending) {
      // Of TLS that gets no answer nothing more is to be expected, and its connection can be closed.
      if (pending.drop()) this.pending.delete(pending);
    }
    this.isOver = this.pending.size === 0;
    this.target.addresses.doubt();
    this.events.onLate(this, !this.isOver);
  }

  private fail(failed: FailureCode): void {
    this.end();
    this.target.addresses.doubt();
    this.events.onFailed(this, failed);
  }

  private end(): void {
    this.isOver = true;
    this.limit.cancel();
    this.stagger.cancel();
  }
}

/** A socket on its way up. */
class PendingSocket implements SocketOwner {
  readonly address: string;
  private readonly dial: Dial;
  private readonly isTls: boolean;
  /** Known once the TCP connection is up. */
  private socket: OwnedSocket | null = null;
  private isSettled = false;

  constructor(dial: Dial, address: string, isTls: boolean) {
    this.dial = dial;
    this.address = address;
    this.isTls = isTls;
  }

  onOpen(socket: OwnedSocket): void {
    this.socket = socket;
    if (!this.isTls) this.win(socket);
  }

  onHandshake(socket: OwnedSocket, verified: boolean): void {
    if (verified) {
      this.win(socket);
      return;
    }
    this.lose("tls");
    socket.terminate();
  }

  onConnectError(code: string): void {
    this.lose(code === "ECONNREFUSED" ? "refused" : "connect");
  }

  onData(): void {}

  onDrain(): void {}

  onClose(): void {
    this.lose(this.isTls ? "tls" : "connect");
  }

  /** Gives it up. False: it cannot be, and will still be heard of. */
  drop(): boolean {
    if (this.socket === null) return false;
    this.isSettled = true;
    this.socket.terminate();
    return true;
  }

  private win(socket: OwnedSocket): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.dial.won(this, socket);
  }

  private lose(failed: FailureCode): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.dial.lost(this, failed);
  }
}
