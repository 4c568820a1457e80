import * as z from "zod/mini";

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

function secret<T extends z.ZodMiniType>(schema: T, secrecy: Secrecy = "hidden"): T {
  secrecyOf.set(schema, secrecy);
  return schema;
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Schemas of numbers, and what they allow. */
export const rangeOf = new WeakMap<z.core.$ZodType, Range>();

function ranged<T extends z.ZodMiniNumber>(number: T, { min, max }: Range, error: string): T {
  const schema = number.check(z.minimum(min, { error }), z.maximum(max, { error }));
  rangeOf.set(schema, { min, max });
  return schema;
}

function integer(min: number, max: number, note = "") {
  const error = `an integer from ${min} to ${max}${note}`;
  return ranged(z.int({ error }), { min, max }, error);
}

const seconds = (min: number, max: number) => integer(min, max, " (seconds)");

function decimal(min: number, max: number) {
  const error = `a number from ${min} to ${max}`;
  return ranged(z.number({ error }), { min, max }, error);
}

const flag = z.boolean({ error: "true or false" });

function choice<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: `one of ${values.join(", ")}` });
}

/** A string that keeps to a rule; `kind` is expected where there is no string at all. */
function text(kind: string, rule: Rule) {
  return z.string({ error: kind }).check(
    z.superRefine((value: string, context) => {
      const expected = rule(value);
      if (expected !== null) context.addIssue({ code: "custom", message: expected });
    }),
  );
}

function block<T extends z.core.$ZodShape>(shape: T) {
  return z.strictObject(shape, { error: "a mapping (keys with values)" });
}

function list<T extends z.ZodMiniType>(item: T) {
  return z.array(item, { error: "a list (items beginning with -)" });
}

/** A list that is not empty; `what` is one of its items. */
function some<T extends z.ZodMiniType>(what: string, item: T) {
  return list(item).check(z.minLength(1, { error: `at least one ${what}` }));
}

const defaulted = z._default;

/** A mapping that may be left out: each of its keys then has its default. */
function section<T extends z.core.$ZodShape>(shape: T) {
  return leftOut(block(shape));
}

function leftOut<T extends z.core.$ZodShape>(mapping: z.ZodMiniObject<T, z.core.$strict>) {
  return z.prefault(mapping, {} as z.input<typeof mapping>);
}

// Every name has this one schema: marked as secret it would be that everywhere.
const name = text("a name", nameRule);

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
  const bytesOf = z.transform((value: number | string, context) => {
    const bytes = parseSize(value);
    if (bytes !== null && Number.isInteger(bytes) && bytes >= min && bytes <= max) return bytes;
    context.issues.push({ code: "custom", message: error, input: value });
    return z.NEVER;
  });
  return z.pipe(z.union([z.number(), z.string()], { error }), bytesOf);
}

/** A number, or `auto`. */
function countOrAuto(min: number, max: number) {
  const error = `auto, or an integer from ${min} to ${max}`;
  const countOf = z.transform((value: number | string, context) => {
    if (value === "auto") return value;
    const count = Number(value);
    if (value !== "" && Number.isInteger(count) && count >= min && count <= max) return count;
    context.issues.push({ code: "custom", message: error, input: value });
    return z.NEVER;
  });
  return z.pipe(z.union([z.number(), z.string()], { error }), countOf);
}

function sizeText(bytes: number): string {
  if (bytes < MB) return `${bytes / KB} KB`;
  return bytes < GB ? `${bytes / MB} MB` : `${bytes / GB} GB`;
}

/** What every listening socket has. */
const listenerKeys = (defaultPort: number) => ({
  port: defaulted(integer(0, 65535, " (0 = any free port)"), defaultPort),
  address: defaulted(text("an IPv4 or IPv6 address", addressRule), "0.0.0.0"),
  // A complete request head must arrive within it, and a body must not pause for longer.
  timeout: section({ connect: defaulted(seconds(1, 120), 10) }),
});

export const ratelimitSchema = block({
  enabled: defaulted(flag, false),
  // Sustained requests per second of one client address, and how many of them may come at once.
  per_second: defaulted(integer(1, 10_000), 100),
  burst: defaulted(integer(1, 20_000), 200),
  // Client addresses that are told apart at a time.
  clients: defaulted(integer(1024, 1_048_576), 65_536),
});

/** What one forward takes from clients. */
const limitsSchema = block({
  header_bytes: defaulted(size(KB, MB), 32 * KB),
  headers: defaulted(integer(10, 2000), 200),
  connections: defaulted(integer(1, 1_000_000), 10_000),
  // Requests let in and not answered; without the key as many as come.
  in_flight: z.optional(integer(1, 1_000_000)),
  idle: defaulted(seconds(1, 3600), 75),
  write_stall: defaulted(seconds(1, 3600), 60),
});

export const forwardSchema = block({
  name,
  ...listenerKeys(3000),
  // One of the two is required; `default_group` is the older word.
  upstream_group: z.optional(name),
  default_group: z.optional(name),
  ratelimit: leftOut(ratelimitSchema),
  // Peers whose word on who the client is counts.
  trusted_proxies: defaulted(list(text("an address or network", networkRule)), []),
  forwarded: defaulted(flag, false),
  max_body_size: defaulted(size(KB, 2 * GB), 128 * MB),
  limits: leftOut(limitsSchema),
});

export const adminSchema = block(listenerKeys(9000));

const accessLogSchema = block({
  enabled: defaulted(flag, false),
  path: defaulted(text("a string", logPathRule), "stdout"),
  format: defaulted(choice(["json", "text"]), "json"),
  // Whether the query is in it; values that look like secrets never are.
  query: defaulted(flag, false),
});

const headerOperationSchema = block({
  // insert = only if absent, replace = set, remove = drop every one of that name.
  op: choice(["insert", "replace", "remove"]),
  key: text("a header name", headerKeyRule),
  value: z.optional(secret(text("a string", headerValueRule))),
});

const authSchema = block({
  type: defaulted(choice(["bearer", "basic", "none"]), "none"),
  token: z.optional(secret(text("a string", credentialRule))),
  username: z.optional(secret(text("a string", usernameRule))),
  password: z.optional(secret(text("a string", credentialRule))),
});

const breakerSchema = block({
  // Failure rate from which it opens, once `min_requests` calls lie in the window.
  threshold: defaulted(decimal(0.01, 1), 0.5),
  cooldown: defaulted(seconds(1, 3600), 30),
  min_requests: defaulted(integer(1, 10_000), 5),
  window: defaulted(seconds(1, 3600), 30),
  half_open_requests: defaulted(integer(1, 16), 1),
});

const baseUrlRule: Rule = (value) => {
  const parsed = parseBaseUrl(value);
  return typeof parsed === "string" ? parsed : null;
};

const upstreamSchema = block({
  name,
  url: secret(text("an http:// or https:// URL", baseUrlRule), "url"),
  auth: leftOut(authSchema),
  headers: defaulted(list(headerOperationSchema), []),
  // Without the key as many requests as come.
  max_in_flight: z.optional(integer(1, 1_000_000)),
  // Without the block there is no breaker.
  breaker: z.optional(breakerSchema),
});

/** An empty URL is let pass here: it is what an unset variable gives while the proxy is off. */
const proxyUrlRule: Rule = (value) => {
  const parsed = value === "" ? null : parseProxyUrl(value);
  return typeof parsed === "string" ? parsed : null;
};

const transports = ["auto", "fetch", "socket"] as const;

const clientSchema = block({
  agent: defaulted(text("a string", agentRule), "LLMProxy/1.0"),
  // Sockets of each worker's own, or Bun's HTTP client. `auto`: sockets for http:// without an outbound proxy.
  transport: defaulted(choice(transports), "auto"),
  // Unused connections that are kept, for each worker and origin.
  max_idle: defaulted(integer(0, 100_000), 256),
  keepalive: defaulted(integer(0, 600, " (seconds; 0 = no connection is reused)"), 60),
  stream: defaulted(flag, true),
  timeout: section({
    connect: defaulted(seconds(1, 120), 10),
    request: defaulted(seconds(1, 1200), 300),
    idle: defaulted(seconds(5, 1800), 60),
  }),
  retry: section({
    enabled: defaulted(flag, false),
    attempts: defaulted(integer(1, 100), 3),
    initial: defaulted(integer(100, 10_000, " (milliseconds)"), 500),
    // Retries may be at most this share of the requests of the last 10 s, with a floor of 10 retries.
    budget: defaulted(decimal(0, 1), 0.2),
  }),
  proxy: section({
    enabled: defaulted(flag, false),
    url: z.optional(secret(text("a string", proxyUrlRule))),
  }),
});

const strategies = ["roundrobin", "weighted_roundrobin", "random", "response_aware", "failover"] as const;

const groupSchema = block({
  name,
  upstreams: some("upstream", block({ name, weight: defaulted(integer(1, 65_535), 1) })),
  balance: section({ strategy: defaulted(choice(strategies), "roundrobin") }),
  http_client: leftOut(clientSchema),
});

export const configSchema = block({
  http_server: block({
    forwards: some("forward", forwardSchema),
    admin: leftOut(adminSchema),
    access_log: leftOut(accessLogSchema),
    // Worker threads. The command line has the last word.
    workers: defaulted(countOrAuto(1, 64), "auto"),
    // Request bodies held by the whole process; without the key a quarter of the memory, at most 1 GB.
    max_buffered_bytes: z.optional(size(16 * MB, 1024 * GB)),
  }),
  upstreams: some("upstream", upstreamSchema),
  upstream_groups: some("group", groupSchema),
});

/** A valid configuration with its defaults filled in; names, seconds and references as in the file. */
export type Config = z.infer<typeof configSchema>;
