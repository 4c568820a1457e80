import * as z from "zod";

import { parseBaseUrl, parseProxyUrl } from "./base-url.ts";
import {
  addressRule,
  agentRule,
  credentialRule,
  headerKeyRule,
  headerValueRule,
  logPathRule,
  nameRule,
  networkRule,
  type Rule,
  usernameRule,
} from "./rules.ts";

/**
 * The only declaration of the configuration's keys, types, defaults and ranges. What follows from it is
 * inferred: the type `Config`, the known keys and their suggestions, and what an error calls allowed. The
 * message of every field says what is expected, for "found ..., expected ...".
 *
 * Rules between keys (references, unique names, what a type of authentication needs) are in `checks.ts`:
 * they are looked at even where single values are wrong, so that all errors come at once.
 */

// A configuration is parsed once: compiling the schemas to code would cost more than it saves.
z.config({ jitless: true });

/** How much of a value a message may show: nothing, or nothing if it is a URL with user, query or fragment. */
export type Secrecy = "hidden" | "url";

/** Schemas whose values are or may hold secrets. */
export const secrecyOf = new WeakMap<z.core.$ZodType, Secrecy>();

function secret<T extends z.ZodType>(schema: T, secrecy: Secrecy = "hidden"): T {
  secrecyOf.set(schema, secrecy);
  return schema;
}

function integer(min: number, max: number, note = ""): z.ZodInt {
  const error = `an integer from ${min} to ${max}${note}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

const seconds = (min: number, max: number) => integer(min, max, " (seconds)");

function decimal(min: number, max: number): z.ZodNumber {
  const error = `a number from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
}

const flag = () => z.boolean({ error: "true or false" });

function choice<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: `one of ${values.join(", ")}` });
}

/** A string that keeps to a rule; `kind` is expected where there is no string at all. */
function text(kind: string, rule: Rule): z.ZodString {
  return z.string({ error: kind }).superRefine((value, context) => {
    const expected = rule(value);
    if (expected !== null) context.addIssue({ code: "custom", message: expected });
  });
}

function block<T extends z.core.$ZodShape>(shape: T) {
  return z.strictObject(shape, { error: "a mapping (keys with values)" });
}

function list<T extends z.ZodType>(item: T) {
  return z.array(item, { error: "a list (items beginning with -)" });
}

const name = () => text("a name", nameRule);

const KB = 1024;
const MB = 1024 ** 2;
const GB = 1024 ** 3;

/** Gives the bytes of `134217728`, `128MB`, `64 KiB` or `1.5g`; units are binary, as nginx has them. */
function parseSize(value: number | string): number | null {
  if (typeof value === "number") return value;
  const match = /^([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([kmg])(?:i?b)?$/i.exec(value);
  if (match?.[1] === undefined || match[2] === undefined) return null;
  return Number(match[1]) * 1024 ** ("kmg".indexOf(match[2].toLowerCase()) + 1);
}

function size(min: number, max: number) {
  const error = `a size from ${sizeText(min)} to ${sizeText(max)}: bytes, or a number with KB, MB or GB (1 KB = 1024 bytes)`;
  return z.union([z.number(), z.string()], { error }).transform((value, context) => {
    const bytes = parseSize(value);
    if (bytes !== null && Number.isInteger(bytes) && bytes >= min && bytes <= max) return bytes;
    context.addIssue({ code: "custom", message: error });
    return z.NEVER;
  });
}

function sizeText(bytes: number): string {
  if (bytes < MB) return `${bytes / KB} KB`;
  return bytes < GB ? `${bytes / MB} MB` : `${bytes / GB} GB`;
}

/** What every listening socket has. */
const listenerKeys = (defaultPort: number) => ({
  port: integer(0, 65535, " (0 = any free port)").default(defaultPort),
  address: text("an IPv4 or IPv6 address", addressRule).default("0.0.0.0"),
  // A complete request head must arrive within it, and a body must not pause for longer.
  timeout: block({ connect: seconds(1, 120).default(10) }).prefault({}),
});

export const ratelimitSchema = block({
  enabled: flag().default(false),
  // Sustained requests per second of one client address, and how many of them may come at once.
  per_second: integer(1, 10_000).default(100),
  burst: integer(1, 20_000).default(200),
  // Client addresses that are told apart at a time.
  clients: integer(1024, 1_048_576).default(65_536),
});

/** What one forward takes from clients. */
const limitsSchema = block({
  header_bytes: size(KB, MB).default(32 * KB),
  headers: integer(10, 2000).default(200),
  connections: integer(1, 1_000_000).default(10_000),
  // Requests let in and not answered; without the key as many as come.
  in_flight: integer(1, 1_000_000).optional(),
  idle: seconds(1, 3600).default(75),
  write_stall: seconds(1, 3600).default(60),
});

export const forwardSchema = block({
  name: name(),
  ...listenerKeys(3000),
  // One of the two is required; `default_group` is the older word.
  upstream_group: name().optional(),
  default_group: name().optional(),
  ratelimit: ratelimitSchema.prefault({}),
  // Peers whose word on who the client is counts.
  trusted_proxies: list(text("an address or network", networkRule)).default([]),
  forwarded: flag().default(false),
  max_body_size: size(KB, 2 * GB).default(128 * MB),
  limits: limitsSchema.prefault({}),
});

export const adminSchema = block(listenerKeys(9000));

const accessLogSchema = block({
  enabled: flag().default(false),
  path: text("a string", logPathRule).default("stdout"),
  format: choice(["json", "text"]).default("json"),
  // Whether the query is in it; values that look like secrets never are.
  query: flag().default(false),
});

const headerOperationSchema = block({
  // insert = only if absent, replace = set, remove = drop every one of that name.
  op: choice(["insert", "replace", "remove"]),
  key: text("a header name", headerKeyRule),
  value: secret(text("a string", headerValueRule)).optional(),
});

const authSchema = block({
  type: choice(["bearer", "basic", "none"]).default("none"),
  token: secret(text("a string", credentialRule)).optional(),
  username: secret(text("a string", usernameRule)).optional(),
  password: secret(text("a string", credentialRule)).optional(),
});

const breakerSchema = block({
  // Failure rate from which it opens, once `min_requests` calls lie in the window.
  threshold: decimal(0.01, 1).default(0.5),
  cooldown: seconds(1, 3600).default(30),
  min_requests: integer(1, 10_000).default(5),
  window: seconds(1, 3600).default(30),
  half_open_requests: integer(1, 16).default(1),
});

const baseUrlRule: Rule = (value) => {
  const parsed = parseBaseUrl(value);
  return typeof parsed === "string" ? parsed : null;
};

const upstreamSchema = block({
  name: name(),
  url: secret(text("an http:// or https:// URL", baseUrlRule), "url"),
  auth: authSchema.prefault({}),
  headers: list(headerOperationSchema).default([]),
  // Without the key as many requests as come.
  max_in_flight: integer(1, 1_000_000).optional(),
  // Without the block there is no breaker.
  breaker: breakerSchema.optional(),
});

/** An empty URL is let pass here: it is what an unset variable gives while the proxy is off. */
const proxyUrlRule: Rule = (value) => {
  const parsed = value === "" ? null : parseProxyUrl(value);
  return typeof parsed === "string" ? parsed : null;
};

const transports = ["auto", "fetch", "socket"] as const;

const clientSchema = block({
  agent: text("a string", agentRule).default("LLMProxy/1.0"),
  // Sockets of each worker's own, or Bun's HTTP client. `auto`: sockets for http:// without an outbound proxy.
  transport: choice(transports).default("auto"),
  // Unused connections that are kept, for each worker and origin.
  max_idle: integer(0, 100_000).default(256),
  keepalive: integer(0, 600, " (seconds; 0 = no connection is reused)").default(60),
  stream: flag().default(true),
  timeout: block({
    connect: seconds(1, 120).default(10),
    request: seconds(1, 1200).default(300),
    idle: seconds(5, 1800).default(60),
  }).prefault({}),
  retry: block({
    enabled: flag().default(false),
    attempts: integer(1, 100).default(3),
    initial: integer(100, 10_000, " (milliseconds)").default(500),
    // Retries may be at most this share of the requests of the last 10 s, with a floor of 10 retries.
    budget: decimal(0, 1).default(0.2),
  }).prefault({}),
  proxy: block({
    enabled: flag().default(false),
    url: secret(text("a string", proxyUrlRule)).optional(),
  }).prefault({}),
});

const strategies = ["roundrobin", "weighted_roundrobin", "random", "response_aware", "failover"] as const;

const groupSchema = block({
  name: name(),
  upstreams: list(block({ name: name(), weight: integer(1, 65_535).default(1) })).min(1, {
    error: "at least one upstream",
  }),
  balance: block({ strategy: choice(strategies).default("roundrobin") }).prefault({}),
  http_client: clientSchema.prefault({}),
});

export const configSchema = block({
  http_server: block({
    forwards: list(forwardSchema).min(1, { error: "at least one forward" }),
    admin: adminSchema.prefault({}),
    access_log: accessLogSchema.prefault({}),
    // Request bodies held by the whole process; without the key a quarter of the memory, at most 1 GB.
    max_buffered_bytes: size(16 * MB, 1024 * GB).optional(),
  }),
  upstreams: list(upstreamSchema).min(1, { error: "at least one upstream" }),
  upstream_groups: list(groupSchema).min(1, { error: "at least one group" }),
});

/** A valid configuration with its defaults filled in; names, seconds and references as in the file. */
export type Config = z.infer<typeof configSchema>;
