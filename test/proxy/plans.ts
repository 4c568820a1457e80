import type { RetryPlan, UpstreamPlan } from "../../src/config/plan.ts";

/** An upstream without operations and credentials, changed as a test needs it. */
export function upstreamPlan(changes: Partial<UpstreamPlan> = {}): UpstreamPlan {
  return {
    id: 0,
    name: "upstream",
    url: "http://upstream.test",
    origin: "http://upstream.test",
    basePath: "",
    baseQuery: "",
    authorization: null,
    headers: [],
    breaker: null,
    inFlightMax: null,
    ...changes,
  };
}

export function retryPlan(changes: Partial<RetryPlan> = {}): RetryPlan {
  return { attempts: 3, initialMs: 500, budget: 0.2, ...changes };
}
