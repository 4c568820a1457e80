import type { ClientPlan } from "../../config/plan.ts";
import { ipVersion } from "../../shared/ip-address.ts";
import { HostAddresses } from "./host-addresses.ts";
import { SocketCall } from "./socket-call.ts";
import type { Call, Transport, UpstreamRequest } from "./transport.ts";
import { type SocketRoom, UpstreamPool } from "./upstream-pool.ts";

/**
 * The transport on sockets of this thread's own: HTTP/1.1, with TLS where the origin asks for it. No other thread
 * works for it, and it knows of every request how far it got.
 */
export class SocketTransport implements Transport {
  private readonly client: ClientPlan;
  private readonly sockets: SocketRoom;
  private readonly pools = new Map<string, UpstreamPool>();

  /**
   * `client` sets the connect limit and how connections are kept. Its outbound proxy is not used. `sockets`: where those
   * that are kept are counted.
   */
  constructor(client: ClientPlan, sockets: SocketRoom) {
    this.client = client;
    this.sockets = sockets;
  }

  send(request: UpstreamRequest): Call {
    const call = new SocketCall(request, this.poolOf(request.origin));
    call.start();
    return call;
  }

  close(): void {
    for (const pool of this.pools.values()) pool.close();
  }

  private poolOf(origin: string): UpstreamPool {
    let pool = this.pools.get(origin);
    if (pool === undefined) {
      pool = makePool(origin, this.client, this.sockets);
      this.pools.set(origin, pool);
    }
    return pool;
  }
}

/** `origin`: `http://host:port` or `https://host:port`, the port left out where it is the scheme's own. */
function makePool(origin: string, client: ClientPlan, sockets: SocketRoom): UpstreamPool {
  const { protocol, hostname, host, port } = new URL(origin);
  const bare = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  const isTls = protocol === "https:";
  // A certificate is checked against the name that is asked for, without the dot of the root. An address is no name (RFC
  // 6066 3), and Bun would send it: with none it checks the certificate against the address that it connects to.
  const serverName = ipVersion(bare) === 0 ? bare.replace(/\.$/, "") : "";
  const tls = isTls ? { serverName, rejectUnauthorized: true } : null;
  const target = {
    addresses: new HostAddresses(bare),
    port: port === "" ? (isTls ? 443 : 80) : Number(port),
    tls,
    limitMs: client.connectTimeoutMs,
  };
  return new UpstreamPool(host, target, {
    idleMs: Math.min(client.keepaliveMs, client.idleTimeoutMs),
    idleMax: client.idleMax,
    keepAliveMs: client.keepaliveMs,
    sockets,
  });
}
