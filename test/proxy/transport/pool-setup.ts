import { SocketCall } from "../../../src/proxy/transport/socket-call.ts";
import { type PoolOptions, UpstreamPool } from "../../../src/proxy/transport/upstream-pool.ts";
import { onRequests } from "../../conformance/transports.ts";
import { ANY_SOCKETS } from "../../support/client-plan.ts";
import { type PeerServer, startPeerServer } from "../../support/peer-server.ts";

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A pool of connections to a loopback port, and a hand on when the address becomes known. */
export class Setup {
  readonly pool: UpstreamPool;
  address = "127.0.0.1";
  /** How often the address was asked for: once for each dial. */
  dials = 0;
  /** While true, dials get no address. */
  holds = false;
  private held: (() => void)[] = [];

  constructor(
    port: number,
    { limitMs = 5000, ...options }: Partial<PoolOptions> & { limitMs?: number } = {},
  ) {
    const addresses = {
      get: (onAddresses: (addresses: readonly string[]) => void) => {
        this.dials++;
        const go = () => onAddresses([this.address]);
        if (this.holds) this.held.push(go);
        else go();
      },
      demote() {},
      doubt() {},
    };
    this.pool = new UpstreamPool(
      "model.test",
      { addresses, port, tls: null, limitMs },
      { idleMs: 60_000, idleMax: 256, keepAliveMs: 0, sockets: ANY_SOCKETS, ...options },
    );
  }

  /** Gives the address to those who wait for it, or to some of them. */
  letGo(count = this.held.length): void {
    this.holds = false;
    for (const go of this.held.splice(0, count)) go();
  }

  call(target = "/"): SocketCall {
    const origin = "http://model.test";
    const call = new SocketCall({ method: "GET", origin, target, headers: [], body: null }, this.pool);
    call.start();
    return call;
  }

  /** Sends a request and reads its answer. */
  async ask(target = "/"): Promise<string> {
    return bodyOf(this.call(target));
  }
}

/** The body of the answer to a call, or how it failed. */
export async function bodyOf(call: SocketCall): Promise<string> {
  const response = await call.response;
  if ("failed" in response) return `${response.failed}, ${response.reach}`;
  const whole = await response.body.whole(1_000_000);
  return Buffer.from(whole as Uint8Array).toString("latin1");
}

/** A server that says ok to everything. */
export function startOk(text = OK): PeerServer {
  return startPeerServer(onRequests((peer) => void peer.send(text)));
}
