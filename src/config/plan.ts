import { assert } from "../shared/assert.ts";
import { type Network, parseNetwork } from "../shared/ip-address.ts";
import { trimOws } from "../shared/trim.ts";
import { type Credentials, parseBaseUrl, parseProxyUrl } from "./base-url.ts";
import type { Config } from "./schema.ts";

/**
 * The configuration as the threads use it: names resolved to ids, seconds to milliseconds, secrets in
 * place. Plain data, so it can be posted to a worker. An id is an index into shared memory: unique within its kind,
 * but after a reload not the index into the array (`byId`).
 */
export interface Plan {
  readonly admin: AdminPlan;
  readonly forwards: readonly ForwardPlan[];
  readonly upstreams: readonly UpstreamPlan[];
  readonly groups: readonly GroupPlan[];
  /** Null = no access log. */
  readonly accessLog: AccessLogPlan | null;
  /** Request bodies that the whole process may hold; null = as much as the machine's memory suggests. */
  readonly bufferedBytesMax: number | null;
  /** Worker threads; null = as many as suit the machine. */
  readonly workers: number | null;
}

export interface AdminPlan {
  readonly address: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
}

export interface AccessLogPlan {
  /** Absolute path of a file; null = standard output. */
  readonly path: string | null;
  readonly format: "json" | "text";
  /** The query of a request is told too. */
  readonly query: boolean;
}

export interface ForwardPlan {
  readonly id: number;
  readonly name: string;
  readonly address: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Id of the group that everything goes to. */
  readonly group: number;
  /** For the request head, and for a pause while the body is sent. */
  readonly connectTimeoutMs: number;
  readonly bodyBytesMax: number;
  readonly ratelimit: RateLimitPlan | null;
  /** Peers that may name the client by X-Forwarded-For or Forwarded. */
  readonly trustedProxies: readonly Network[];
  /** Upstreams are told who the client is, by X-Forwarded-*. */
  readonly forwarded: boolean;
  readonly limits: ForwardLimitsPlan;
}

export interface RateLimitPlan {
  readonly perSecond: number;
  readonly burst: number;
  /** Clients that are told apart at a time. */
  readonly clients: number;
}

export interface ForwardLimitsPlan {
  /** Of a request head, request line included. */
  readonly headBytesMax: number;
  readonly headersMax: number;
  /** Client connections, over all workers. */
  readonly connectionsMax: number;
  /** Requests let in and not answered, over all workers; null = no limit. */
  readonly inFlightMax: number | null;
  /** How long a connection may wait between two requests. */
  readonly idleMs: number;
  /** How long a client may take nothing of an answer that is on its way. */
  readonly writeStallMs: number;
}

export interface UpstreamPlan {
  readonly id: number;
  readonly name: string;
  /** The configured base URL without credentials and query, for labels and messages. */
  readonly url: string;
  /** `http://host:port`, without a trailing slash. */
  readonly origin: string;
  /** Path of the base URL without a trailing slash; empty for the root. */
  readonly basePath: string;
  /** Query of the base URL without `?`; it may hold a key. Empty for none. */
  readonly baseQuery: string;
  /** Value of the `Authorization` header (one character per byte) that replaces the client's; null = the client's passes. */
  readonly authorization: string | null;
  readonly headers: readonly HeaderOperation[];
  readonly breaker: BreakerPlan | null;
  /** Requests sent and not finished, over all workers and groups; null = no limit. */
  readonly inFlightMax: number | null;
}

/** In the order of the file; keys in the case they were written in, values one character per byte. */
export type HeaderOperation =
  | { readonly op: "insert" | "replace"; readonly key: string; readonly value: string }
  | { readonly op: "remove"; readonly key: string };

export interface BreakerPlan {
  /** Failure rate from which it opens, 0.01-1. */
  readonly threshold: number;
  readonly cooldownMs: number;
  readonly minRequests: number;
  readonly windowMs: number;
  readonly halfOpenRequests: number;
}

export type Strategy = "roundrobin" | "weighted_roundrobin" | "random" | "response_aware" | "failover";

export interface GroupPlan {
  readonly id: number;
  readonly name: string;
  readonly strategy: Strategy;
  readonly members: readonly MemberPlan[];
  readonly client: ClientPlan;
}

export interface MemberPlan {
  readonly upstream: number;
  readonly weight: number;
}

/** The way to upstreams: sockets of each worker's own, Bun's HTTP client, or each where it does best. */
export type TransportKind = "auto" | "fetch" | "socket";

/** How the upstreams of a group are reached. */
export interface ClientPlan {
  readonly agent: string;
  readonly transport: TransportKind;
  /** Unused connections that each worker keeps to an origin; with sockets only. */
  readonly idleMax: number;
  /** How long connections are kept for reuse; 0 = none is reused. */
  readonly keepaliveMs: number;
  readonly stream: boolean;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly retry: RetryPlan | null;
  /** Outbound proxy, credentials included; null = none. */
  readonly proxyUrl: string | null;
}

export interface RetryPlan {
  readonly attempts: number;
  readonly initialMs: number;
  /** Retries may be at most this share of the requests of the last 10 s (with a floor of 10). */
  readonly budget: number;
}

/** Entries of one kind, as an array in which each stands at its id. It may have gaps. */
export function byId<T extends { readonly id: number }>(entries: readonly T[]): readonly T[] {
  const list: T[] = [];
  for (const entry of entries) list[entry.id] = entry;
  return list;
}

/** Resolves names to ids and units to milliseconds. The configuration is valid: this cannot fail. Pure. */
export function makePlan(config: Config): Plan {
  const upstreamIds = idsOf(config.upstreams);
  const groupIds = idsOf(config.upstream_groups);
  const { admin, forwards } = config.http_server;
  return {
    admin: { address: admin.address, port: admin.port, connectTimeoutMs: admin.timeout.connect * 1000 },
    forwards: forwards.map((forward, id) => planForward(forward, id, groupIds)),
    upstreams: config.upstreams.map(planUpstream),
    groups: config.upstream_groups.map((group, id) => ({
      id,
      name: group.name,
      strategy: group.balance.strategy,
      members: group.upstreams.map(({ name, weight }) => ({ upstream: idOf(upstreamIds, name), weight })),
      client: planClient(group.http_client),
    })),
    accessLog: planAccessLog(config.http_server.access_log),
    bufferedBytesMax: config.http_server.max_buffered_bytes ?? null,
    workers: config.http_server.workers === "auto" ? null : config.http_server.workers,
  };
}

function planAccessLog(config: Config["http_server"]["access_log"]): AccessLogPlan | null {
  const { enabled, path, format, query } = config;
  return enabled ? { path: path === "stdout" ? null : path, format, query } : null;
}

function idsOf(items: readonly { readonly name: string }[]): ReadonlyMap<string, number> {
  return new Map(items.map((item, id) => [item.name, id]));
}

function idOf(ids: ReadonlyMap<string, number>, name: string | undefined): number {
  const id = name === undefined ? undefined : ids.get(name);
  assert(id !== undefined, "a valid configuration has no unknown name");
  return id;
}

type ForwardConfig = Config["http_server"]["forwards"][number];
type UpstreamConfig = Config["upstreams"][number];
type ClientConfig = Config["upstream_groups"][number]["http_client"];

function planForward(forward: ForwardConfig, id: number, groupIds: ReadonlyMap<string, number>): ForwardPlan {
  const { ratelimit, limits } = forward;
  return {
    id,
    name: forward.name,
    address: forward.address,
    port: forward.port,
    group: idOf(groupIds, forward.upstream_group ?? forward.default_group),
    connectTimeoutMs: forward.timeout.connect * 1000,
    bodyBytesMax: forward.max_body_size,
    ratelimit: ratelimit.enabled
      ? { perSecond: ratelimit.per_second, burst: ratelimit.burst, clients: ratelimit.clients }
      : null,
    trustedProxies: forward.trusted_proxies.map(planNetwork),
    forwarded: forward.forwarded,
    limits: {
      headBytesMax: limits.header_bytes,
      headersMax: limits.headers,
      connectionsMax: limits.connections,
      inFlightMax: limits.in_flight ?? null,
      idleMs: limits.idle * 1000,
      writeStallMs: limits.write_stall * 1000,
    },
  };
}

function planNetwork(text: string): Network {
  const network = parseNetwork(text);
  assert(network !== null, "a valid configuration has valid networks");
  return network;
}

function planUpstream(upstream: UpstreamConfig, id: number): UpstreamPlan {
  const base = parseBaseUrl(upstream.url);
  assert(typeof base !== "string", "a valid configuration has valid URLs");
  const { breaker } = upstream;
  return {
    id,
    name: upstream.name,
    url: base.origin + base.path,
    origin: base.origin,
    basePath: base.path,
    baseQuery: base.query,
    authorization: authorizationOf(upstream.auth, base.credentials),
    headers: upstream.headers.map(planHeader),
    breaker:
      breaker === undefined
        ? null
        : {
            threshold: breaker.threshold,
            cooldownMs: breaker.cooldown * 1000,
            minRequests: breaker.min_requests,
            windowMs: breaker.window * 1000,
            halfOpenRequests: breaker.half_open_requests,
          },
    inFlightMax: upstream.max_in_flight ?? null,
  };
}

/** `Bearer` as in RFC 6750, `Basic` as in RFC 7617 (UTF-8); credentials in the URL count as `basic`. */
function authorizationOf(auth: UpstreamConfig["auth"], fromUrl: Credentials | null): string | null {
  if (auth.type === "bearer") return `Bearer ${fieldValue(auth.token ?? "")}`;
  const credentials =
    auth.type === "basic" ? { username: auth.username ?? "", password: auth.password ?? "" } : fromUrl;
  if (credentials === null) return null;
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`, "utf8").toString("base64")}`;
}

function planHeader(operation: UpstreamConfig["headers"][number]): HeaderOperation {
  const { op, key } = operation;
  return op === "remove" ? { op, key } : { op, key, value: fieldValue(operation.value ?? "") };
}

/** A header value as on the wire: UTF-8, one character per byte, without what a receiver drops (RFC 9110 5.5). */
function fieldValue(text: string): string {
  return Buffer.from(trimOws(text), "utf8").toString("latin1");
}

function planClient(client: ClientConfig): ClientPlan {
  const { retry, proxy, timeout } = client;
  const proxyUrl = proxy.enabled ? parseProxyUrl(proxy.url ?? "") : null;
  assert(typeof proxyUrl !== "string", "a valid configuration has valid proxy URLs");
  return {
    agent: fieldValue(client.agent),
    transport: client.transport,
    idleMax: client.max_idle,
    keepaliveMs: client.keepalive * 1000,
    stream: client.stream,
    connectTimeoutMs: timeout.connect * 1000,
    requestTimeoutMs: timeout.request * 1000,
    idleTimeoutMs: timeout.idle * 1000,
    retry: retry.enabled
      ? { attempts: retry.attempts, initialMs: retry.initial, budget: retry.budget }
      : null,
    proxyUrl: proxyUrl?.href ?? null,
  };
}
