import type { AdminPlan } from "../config/plan.ts";
import type { Readiness } from "./readiness.ts";

/** What the admin listener tells of. */
export interface AdminSources {
  /** False while draining. */
  isServing(): boolean;
  readiness(): Readiness;
  /** Text of `/metrics`. */
  metrics(): string;
}

/** Serves `/health`, `/ready` and `/metrics`. Throws what `Bun.serve` throws when the address cannot be bound. */
export function serveAdmin(plan: AdminPlan, sources: AdminSources): Bun.Server<undefined> {
  return Bun.serve({
    hostname: plan.address,
    port: plan.port,
    development: false,
    reusePort: true,
    idleTimeout: Math.min(255, Math.ceil(plan.connectTimeoutMs / 1000)),
    maxRequestBodySize: 65_536,
    error: () => new Response("internal error\n", { status: 500 }),
    fetch(request) {
      if (request.method !== "GET" && request.method !== "HEAD")
        return new Response("method not allowed\n", { status: 405, headers: { Allow: "GET, HEAD" } });
      const path = /^[a-z]+:\/\/[^/]*([^?#]*)/.exec(request.url)?.[1];
      switch (path) {
        case "/health":
          return sources.isServing()
            ? new Response("ok\n")
            : new Response("draining\n", { status: 503, headers: { Connection: "close" } });
        case "/ready":
          return readyAnswer(sources.readiness());
        case "/metrics":
          return new Response(sources.metrics(), {
            headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
          });
        default:
          return new Response("not found\n", { status: 404 });
      }
    },
  });
}

function readyAnswer(readiness: Readiness): Response {
  return new Response(`${JSON.stringify(readiness)}\n`, {
    status: readiness.ready ? 200 : 503,
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
  });
}
