import { Deadline, deadlineQueue } from "../../shared/deadlines.ts";

/**
 * Bounds connecting where the transport does not say when a connection is up. While a response head is
 * late, it opens a TCP connection of its own to the same place: if that does not come up within what is
 * left of the limit, the upstream cannot be reached and the request is given up; if it does, the upstream is
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
    const { hostname, port } = addressOf(this.proxyUrl ?? origin);
    const probe = new TcpProbe(hostname, port, this.limitMs / 2, (answered) => {
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

function addressOf(url: string): { hostname: string; port: number } {
  const { hostname, port, protocol } = new URL(url);
  const bare = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  return { hostname: bare, port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port) };
}

/** One TCP connection that is closed as soon as it is up. Reports once whether there was an answer, be it a refusal. */
class TcpProbe {
  private readonly hostname: string;
  private readonly port: number;
  private readonly deadline: Deadline;
  private readonly limitMs: number;
  private onResult: ((answered: boolean) => void) | null;

  constructor(hostname: string, port: number, limitMs: number, onResult: (answered: boolean) => void) {
    this.hostname = hostname;
    this.port = port;
    this.limitMs = limitMs;
    this.onResult = onResult;
    this.deadline = new Deadline(() => this.settle(false));
  }

  start(): void {
    this.deadline.arm(deadlineQueue(this.limitMs));
    Bun.connect({
      hostname: this.hostname,
      port: this.port,
      socket: {
        open: (socket) => {
          socket.end();
          this.settle(true);
        },
        data() {},
        connectError: () => this.settle(true),
      },
    }).catch(() => this.settle(true));
  }

  private settle(answered: boolean): void {
    this.deadline.cancel();
    this.onResult?.(answered);
    this.onResult = null;
  }
}
