import type { ClientPlan } from "../../src/config/plan.ts";
import type { SocketRoom } from "../../src/proxy/transport/upstream-pool.ts";

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

/** No bound of files. */
export const ANY_SOCKETS: SocketRoom = { take: () => -1, giveBack() {}, watch() {}, unwatch() {} };
