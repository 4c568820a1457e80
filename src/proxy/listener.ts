import type { BodyBytes, HttpServer, ServerSettings } from "../http/exchange.ts";
import { listen } from "../http/server.ts";
import { handle } from "./handler.ts";
import { refuse } from "./refusal.ts";
import type { Route } from "./route.ts";

/** Listens for one forward in this thread. Throws when the address cannot be bound; see `listen`. */
export function openListener(route: Route, port: number, bodyBytes: BodyBytes): HttpServer {
  return listen({ address: route.forward.address, port, ...settingsOf(route, bodyBytes) });
}

/** How a forward's listener serves. */
export function settingsOf(route: Route, bodyBytes: BodyBytes): ServerSettings {
  const { forward, limits } = route;
  return {
    headTimeoutMs: forward.connectTimeoutMs,
    stallTimeoutMs: forward.connectTimeoutMs,
    writeTimeoutMs: forward.limits.writeStallMs,
    idleTimeoutMs: forward.limits.idleMs,
    headBytesMax: forward.limits.headBytesMax,
    headersMax: forward.limits.headersMax,
    door: limits.connections,
    bodyBytes,
    onRequest: (exchange) => void handle(exchange, route),
    onRefusal: (exchange, status, message) => refuse(exchange, route, status, message),
  };
}
