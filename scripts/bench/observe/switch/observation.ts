// Stands in for src/proxy/observation.ts in the build that observes on demand: the client of a request says whether.
import type { Exchange } from "../../../../src/http/exchange.ts";
import { headerValue } from "../../../../src/proxy/headers.ts";
import { Observation as On } from "../../../../src/proxy/observation.ts";
import type { Route } from "../../../../src/proxy/route.ts";
import { Observation as Off } from "../off/observation.ts";

export class Observation {
  constructor(exchange: Exchange, requestId: string, route: Route) {
    return headerValue(exchange.headers, "x-observe") === "off"
      ? new Off()
      : new On(exchange, requestId, route);
  }
}
