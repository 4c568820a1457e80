import type { HeaderOperation, UpstreamPlan } from "../config/plan.ts";
import type { HeaderList } from "../http/exchange.ts";
import { FieldNames, lowerName } from "../http/field-names.ts";
import { trimOws } from "../shared/trim.ts";
import { withoutBaseQuery } from "./target.ts";

/** Fields that concern one connection only (RFC 9110 7.6.1), and those that frame a message. */
const HOP_BY_HOP = new FieldNames([
  "connection",
  "content-length",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** What a request to an upstream does not take over from the client, beyond the hop-by-hop fields. */
const NOT_FORWARDED = new FieldNames([...HOP_BY_HOP, "expect", "host", "user-agent"]);

/** Fields in which an answer names the place that was asked for, or another one. */
const URL_FIELDS = new FieldNames(["location", "content-location"]);

const LOWER_P = 0x70;
const REQUEST_ID = "x-request-id";
const NO_OPTIONS: ReadonlySet<string> = new Set();

/** The value of the first field of that name (given in lower case), or null. */
export function headerValue(headers: HeaderList, name: string): string | null {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length === name.length && lowerName(headers[i]!) === name) return headers[i + 1]!;
  }
  return null;
}

/** The client's request id, or a new one. */
export function requestIdOf(headers: HeaderList): string {
  const given = headerValue(headers, REQUEST_ID);
  return given === null || given === "" ? crypto.randomUUID() : given;
}

/**
 * The fields for an upstream, in the order of the specification: the client's without the hop-by-hop ones, with
 * `forwarded` in place of those of that name; `User-Agent`; the upstream's operations; its authentication, which replaces the client's. `Host` is left
 * to the transport unless an operation sets it.
 */
export function upstreamHeaders(
  client: HeaderList,
  upstream: UpstreamPlan,
  agent: string,
  requestId: string,
  forwarded: HeaderList = [],
): HeaderList {
  const headers = passing(client, NOT_FORWARDED);
  // After the hop-by-hop fields are off, as a client's `Connection` may name these.
  for (let i = 0; i < forwarded.length; i += 2) replace(headers, forwarded[i]!, forwarded[i + 1]!);
  headers.push("User-Agent", agent);
  insert(headers, REQUEST_ID, requestId);
  for (const operation of upstream.headers) apply(headers, operation);
  if (upstream.authorization !== null) replace(headers, "Authorization", upstream.authorization);
  return headers;
}

/**
 * The fields for the client: the upstream's without the hop-by-hop ones, the request id where the upstream
 * gave none of its own, and for an event stream the word that keeps a front nginx from holding it back.
 */
export function clientHeaders(upstream: HeaderList, requestId: string, eventStream: boolean): HeaderList {
  const headers = passing(upstream, HOP_BY_HOP);
  insert(headers, REQUEST_ID, requestId);
  if (eventStream) insert(headers, "x-accel-buffering", "no");
  return headers;
}

/** The fields of an upstream's answer, with URLs that do not give away the query of its base URL. */
export function withoutOwnQuery(headers: HeaderList, upstream: UpstreamPlan): HeaderList {
  if (upstream.baseQuery === "") return headers;
  return headers.map((text, i) =>
    i % 2 === 1 && URL_FIELDS.has(headers[i - 1]!) ? withoutBaseQuery(upstream, text) : text,
  );
}

/** A new list without the fields in `dropped` and without those that a `Connection` field names. */
function passing(headers: HeaderList, dropped: FieldNames): HeaderList {
  const named = connectionOptions(headers);
  // A copy that is cut, as a list that grows is moved again and again.
  const list = headers.slice();
  let length = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (dropped.has(name) || isProxyField(name) || (named.size > 0 && named.has(lowerName(name)))) continue;
    list[length++] = name;
    list[length++] = headers[i + 1]!;
  }
  list.length = length;
  return list;
}

/** `Proxy-Authorization`, `Proxy-Connection` and their kin are for the next hop, which is us. */
function isProxyField(name: string): boolean {
  return (name.charCodeAt(0) | 0x20) === LOWER_P && lowerName(name).startsWith("proxy-");
}

function connectionOptions(headers: HeaderList): ReadonlySet<string> {
  let options: Set<string> | null = null;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length !== 10 || lowerName(headers[i]!) !== "connection") continue;
    const value = headers[i + 1]!;
    if (value === "keep-alive" || value === "close") continue;
    options ??= new Set();
    for (const option of value.split(",")) options.add(trimOws(option).toLowerCase());
  }
  return options ?? NO_OPTIONS;
}

function apply(headers: HeaderList, operation: HeaderOperation): void {
  switch (operation.op) {
    case "insert":
      insert(headers, operation.key, operation.value);
      break;
    case "replace":
      replace(headers, operation.key, operation.value);
      break;
    case "remove":
      remove(headers, lowerName(operation.key));
      break;
  }
}

function insert(headers: HeaderList, name: string, value: string): void {
  if (headerValue(headers, lowerName(name)) === null) headers.push(name, value);
}

function replace(headers: HeaderList, name: string, value: string): void {
  remove(headers, lowerName(name));
  headers.push(name, value);
}

function remove(headers: HeaderList, name: string): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (lowerName(headers[i]!) === name) headers.splice(i, 2);
  }
}
