import type { ClientPlan } from "../../src/config/plan.ts";

/** How upstreams are reached, by the defaults of the configuration but for short limits. */
export const CLIENT: ClientPlan = {
  agent: "Test/1",
  transport: "auto",
  idleMax: 256,
  keepaliveMs: 60_000,
  stream: true,
  connectTimeoutMs: 5_000,
  requestTimeoutMs: 60_000,
  idleTimeoutMs: 60_000,
  retry: null,
  proxyUrl: null,
};
