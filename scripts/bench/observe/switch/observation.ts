// Stands in for src/proxy/observation.ts in the build that observes on demand: the client of a request says whether.
import type { Exchange } from "../../../../src/http/exchange.ts";
import { headerValue } from "../../../../src/proxy/headers.ts";
import { Observation as On } from "../../../../src/proxy/observation.ts";
import type { Route } from "../../../../src/proxy/route.ts";
import { Observation as Off } from "../off/observation.ts";

/** Each route again, without an access log. */
const quiet = new Map<Route, Route>();

export class Observation {
  constructor(exchange: Exchange, requestId: string, route: Route) {
    const observed = headerValue(exchange.headers, "x-observe");
    if (observed === "nothing") return new Off();
    return new On(exchange, requestId, observed === "metrics" ? quietOf(route) : route);
  }
}

function quietOf(route: Route): Route {
  let without = quiet.get(route);
  if (without === undefined) {
    without = { ...route, accessLog: null };
    quiet.set(route, without);
  }
  return without;
}
