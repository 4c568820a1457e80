import { upstreamStatus } from "../balancer/status.ts";
import type { Plan } from "../config/plan.ts";
import { RateLimitRule, RateLimitTable } from "../memory/rate-limit-table.ts";
import type { SharedMemory } from "../memory/shared-memory.ts";
import type { AddSample } from "../observe/board.ts";
import type { Generation } from "../proxy/generation.ts";

const STATES = ["closed", "open", "half_open"] as const;

/** Tells what the shared memory holds of each upstream at this moment. `nowMs`: as `nowMs()` gives it. */
export function upstreamSamples(plan: Plan, memory: SharedMemory, nowMs: number, add: AddSample): void {
  for (const upstream of plan.upstreams) {
    const labels = [upstream.name];
    const status = upstreamStatus(memory.balancer, upstream, nowMs);
    add("llmproxy_upstream_available", labels, status.available ? 1 : 0);
    add("llmproxy_upstream_in_flight", labels, status.inFlight);
    const restMs = status.restingUntilMs === null ? 0 : Math.max(0, status.restingUntilMs - nowMs);
    add("llmproxy_upstream_rest_remaining_seconds", labels, restMs / 1000);
    if (status.responseMs !== null)
      add("llmproxy_upstream_response_time_seconds", labels, status.responseMs / 1000);
    if (status.successRate !== null) add("llmproxy_upstream_success_ratio", labels, status.successRate);
    if (status.breaker === null) continue;
    for (const state of STATES)
      add(
        "llmproxy_circuitbreaker_state",
        [upstream.name, upstream.url, state],
        status.breaker.state === state ? 1 : 0,
      );
  }
}

/** Tells how much of its limits each forward uses at this moment. */
export function limitSamples(
  { plan, rateLimits }: Generation,
  memory: SharedMemory,
  nowMs: number,
  add: AddSample,
): void {
  const { connections, buffered } = memory.limits;
  for (const { id, name, ratelimit } of plan.forwards) {
    add("llmproxy_http_connections", [name], connections.read(id));
    const table = rateLimits.get(id);
    if (ratelimit === null || table === undefined) continue;
    const rule = new RateLimitRule(ratelimit.perSecond, ratelimit.burst);
    add("llmproxy_ratelimit_clients", [name], RateLimitTable.over(table).live(rule, nowMs));
    add("llmproxy_ratelimit_clients_max", [name], ratelimit.clients);
  }
  add("llmproxy_http_buffered_body_bytes", [], buffered.takenBytes());
}
