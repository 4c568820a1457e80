import type { ForwardPlan } from "../config/plan.ts";
import type { BodyBytes, ConnectionDoor, Exchange, HttpServer } from "../http/exchange.ts";
import { listen } from "../http/server.ts";

/** Listens for one forward in this thread. Throws when the address cannot be bound; see `listen`. */
export function openListener(
  forward: ForwardPlan,
  port: number,
  door: ConnectionDoor,
  bodyBytes: BodyBytes,
  onRequest: (exchange: Exchange) => void,
  onRefusal: (exchange: Exchange, status: number, message: string) => void,
): HttpServer {
  return listen({
    address: forward.address,
    port,
    headTimeoutMs: forward.connectTimeoutMs,
    stallTimeoutMs: forward.connectTimeoutMs,
    writeTimeoutMs: forward.limits.writeStallMs,
    idleTimeoutMs: forward.limits.idleMs,
    headBytesMax: forward.limits.headBytesMax,
    headersMax: forward.limits.headersMax,
    door,
    bodyBytes,
    onRequest,
    onRefusal,
  });
}
