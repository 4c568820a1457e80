import type { ClientPlan } from "../../config/plan.ts";
import { FetchTransport } from "./fetch.ts";
import { SocketTransport } from "./socket.ts";
import type { Call, Transport, UpstreamRequest } from "./transport.ts";
import type { SocketRoom } from "./upstream-pool.ts";

/**
 * The transport of one group in this thread: by `transport` of its settings, and for `auto` the one that does
 * best. That is sockets where the upstream speaks plain HTTP and nothing is in between, else `fetch`. `sockets`: of this
 * worker.
 */
export function openTransport(client: ClientPlan, sockets: SocketRoom): Transport {
  if (client.transport === "fetch" || client.proxyUrl !== null) return new FetchTransport(client);
  return client.transport === "socket"
    ? new SocketTransport(client, sockets)
    : new SchemeTransport(client, sockets);
}

/** Chooses for each request by the scheme of its origin. */
class SchemeTransport implements Transport {
  private readonly plain: SocketTransport;
  private readonly client: ClientPlan;
  /** Made when the first request needs it. */
  private secure: FetchTransport | null = null;

  constructor(client: ClientPlan, sockets: SocketRoom) {
    this.client = client;
    this.plain = new SocketTransport(client, sockets);
  }

  send(request: UpstreamRequest): Call {
    if (request.origin.startsWith("http:")) return this.plain.send(request);
    this.secure ??= new FetchTransport(this.client);
    return this.secure.send(request);
  }

  close(): void {
    this.plain.close();
    this.secure?.close();
  }
}
