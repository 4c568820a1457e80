import type { ForwardPlan } from "../config/plan.ts";
import type { Exchange, HeaderList } from "../http/exchange.ts";
import type { LimitsMemory } from "../memory/limits-memory.ts";
import type { RateLimitTable } from "../memory/rate-limit-table.ts";
import type { IpAddress } from "../shared/ip-address.ts";
import { clientOf, peerAddress } from "./client-address.ts";
import { ConnectionGate } from "./connection-gate.ts";
import { forwardedHeaders } from "./forwarded-headers.ts";
import { RateLimit, type RateVerdict } from "./rate-limit.ts";
import { RequestGate } from "./request-gate.ts";
import type { SocketBudget } from "./socket-budget.ts";

const NO_HEADERS: HeaderList = [];

/** Whom and how much one forward lets in, seen from one worker. */
export class ForwardLimits {
  readonly connections: ConnectionGate;
  readonly requests: RequestGate;
  /** Null: no rate limit. */
  readonly rate: RateLimit | null;
  /** Largest request body: one for which there could never be memory is too large. */
  readonly bodyBytesMax: number;
  readonly #forward: ForwardPlan;

  /** `table`: of its rate limit, null where it has none. `sockets`: of this worker, for all its forwards. */
  constructor(
    forward: ForwardPlan,
    memory: LimitsMemory,
    table: RateLimitTable | null,
    worker: number,
    sockets: SocketBudget,
  ) {
    const { id, ratelimit, limits } = forward;
    this.#forward = forward;
    this.connections = new ConnectionGate(memory, sockets, worker, id, limits.connectionsMax);
    this.bodyBytesMax = Math.min(forward.bodyBytesMax, memory.buffered.bytesMax);
    this.requests = new RequestGate(memory.requests, sockets, worker, id, limits.inFlightMax);
    this.rate = ratelimit === null || table === null ? null : new RateLimit(table, ratelimit, worker);
  }

  /** Decides whether the client has a request left, and counts it. */
  checkRate(exchange: Exchange, nowMs: number): RateVerdict {
    if (this.rate === null) return "admitted";
    const client = this.clientOf(exchange);
    // Nothing to tell clients apart by.
    return client === null ? "untracked" : this.rate.check(client, nowMs);
  }

  /** Who the client of a request is; null where the system does not say who the peer is. */
  clientOf(exchange: Exchange): IpAddress | null {
    const peer = peerAddress(exchange.remoteAddress);
    return peer === null ? null : clientOf(peer, exchange.headers, this.#forward.trustedProxies);
  }

  /** The fields that tell an upstream about the client; none unless the forward is to send them. */
  forwardedHeaders(exchange: Exchange): HeaderList {
    const { forwarded, trustedProxies } = this.#forward;
    return forwarded
      ? forwardedHeaders(exchange.remoteAddress, exchange.headers, trustedProxies)
      : NO_HEADERS;
  }
}
