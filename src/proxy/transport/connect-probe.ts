import type { Socket } from "bun";

import { Deadline, deadlineQueue } from "../../shared/deadlines.ts";

/**
 * Bounds connecting where the transport does not say when a connection is up. While a response head is late, it opens
 * a connection of its own to the same place, with TLS where the request's has it: if that does not come up within what
 * is left of the limit, the upstream cannot be reached and the request is given up; if it does, the upstream is
 * merely thinking and may take all its time. A connection that is refused tells the same: had the request's own been
 * refused, that would be known by now, so the upstream finishes its work and takes no more.
 *
 * One probe at a time and origin serves all who wait for it, and none is made while responses come in.
 */
export class ConnectProbe {
  private readonly limitMs: number;
  private readonly proxyUrl: string | null;
  private readonly states = new Map<string, OriginState>();

  constructor(limitMs: number, proxyUrl: string | null) {
    this.limitMs = limitMs;
    this.proxyUrl = proxyUrl;
  }

  /** Calls `onUnreachable` once if the origin cannot be connected to in time. Cancel it when the head is in. */
  watch(origin: string, onUnreachable: () => void): { cancel(): void } {
    const startedMs = performance.now();
    const deadline = new Deadline(() => this.check(origin, startedMs, late));
    const late = new Deadline(onUnreachable);
    deadline.arm(deadlineQueue(this.limitMs / 2));
    return {
      cancel: () => {
        deadline.cancel();
        late.cancel();
      },
    };
  }

  /** A response came from the origin: it can be connected to. */
  reached(origin: string): void {
    this.stateOf(origin).reachedMs = performance.now();
  }

  private check(origin: string, startedMs: number, late: Deadline): void {
    const state = this.stateOf(origin);
    if (state.reachedMs >= startedMs) return;
    late.arm(deadlineQueue(this.limitMs / 2));
    state.waiting.add(late);
    if (state.probing) return;
    state.probing = true;
    const probe = new Probe(addressOf(this.proxyUrl ?? origin), this.limitMs / 2, (answered) => {
      state.probing = false;
      // Who waits is let go on an answer; without one its own deadline gives it up, when the limit is reached.
      if (answered) {
        state.reachedMs = performance.now();
        for (const deadline of state.waiting) deadline.cancel();
      }
      state.waiting.clear();
    });
    probe.start();
  }

  private stateOf(origin: string): OriginState {
    let state = this.states.get(origin);
    if (state === undefined) {
      state = { reachedMs: -1, probing: false, waiting: new Set() };
      this.states.set(origin, state);
    }
    return state;
  }
}

interface OriginState {
  reachedMs: number;
  probing: boolean;
  readonly waiting: Set<Deadline>;
}

interface Address {
  readonly hostname: string;
  readonly port: number;
  readonly isSecure: boolean;
}

function addressOf(url: string): Address {
  const { hostname, port, protocol } = new URL(url);
  const bare = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  const isSecure = protocol === "https:";
  return { hostname: bare, port: port === "" ? (isSecure ? 443 : 80) : Number(port), isSecure };
}

/** One connection that is closed as soon as it is up. Reports once whether there was an answer, be it a refusal. */
class Probe {
  private readonly address: Address;
  private readonly deadline: Deadline;
  private readonly limitMs: number;
  private onResult: ((answered: boolean) => void) | null;
  private socket: Socket | null = null;

  constructor(address: Address, limitMs: number, onResult: (answered: boolean) => void) {
    this.address = address;
    this.limitMs = limitMs;
    this.onResult = onResult;
    this.deadline = new Deadline(() => this.settle(false));
  }

  start(): void {
    this.deadline.arm(deadlineQueue(this.limitMs));
    const { hostname, port, isSecure } = this.address;
    Bun.connect({
      hostname,
      port,
      // Nothing is sent, so whose certificate it is does not matter: the request's own connection checks that.
      ...(isSecure ? { tls: { rejectUnauthorized: false } } : {}),
      socket: {
        open: (socket) => {
          this.socket = socket;
          if (!isSecure || this.onResult === null) this.settle(true);
        },
        handshake: () => this.settle(true),
        data() {},
        error() {},
        close: () => this.settle(true),
        connectError: () => this.settle(true),
      },
    }).catch(() => this.settle(true));
  }

  private settle(answered: boolean): void {
    this.deadline.cancel();
    this.onResult?.(answered);
    this.onResult = null;
    if (answered) this.socket?.end();
    else this.socket?.terminate();
  }
}
