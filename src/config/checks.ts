import * as z from "zod/mini";

import { parseBaseUrl } from "./base-url.ts";
import { didYouMean } from "./issues.ts";
import { type Listener, ListenerTable } from "./listeners.ts";
import type { Report } from "./report.ts";
import { hostValueRule } from "./rules.ts";
import { adminSchema, forwardSchema, ratelimitSchema } from "./schema.ts";
import { isMapping, type Mapping } from "./tree.ts";

/** A mapping of a list together with its path. */
interface Item {
  readonly path: string;
  readonly value: Mapping;
}

/**
 * The rules between keys. They are looked at on the tree, which may have errors of its own: whatever a rule
 * needs and cannot read is passed over, since it has its error already.
 */
export function checkTree(tree: unknown, report: Report): void {
  const server = child(tree, "http_server");
  const forwards = itemsOf(server, "forwards", "http_server.forwards");
  const upstreams = itemsOf(tree, "upstreams", "upstreams");
  const groups = itemsOf(tree, "upstream_groups", "upstream_groups");

  namesOf(forwards, report);
  const upstreamNames = namesOf(upstreams, report);
  const groupNames = namesOf(groups, report);

  for (const forward of forwards) {
    checkGroupReference(forward, groupNames, report);
    checkRatelimit(forward, report);
  }
  checkListeners(forwards, child(server, "admin"), report);
  warnIfSwitchIsLeftOut(child(server, "access_log"), "http_server.access_log", report);
  for (const upstream of upstreams) checkUpstream(upstream, report);
  for (const group of groups) {
    checkMembers(group, upstreamNames, report);
    checkClient(group, report);
  }
}

/** The names of a kind, each once; `complete` is false when one of them could not be read. */
interface Names {
  /** Paths by name. */
  readonly known: ReadonlyMap<string, string>;
  readonly complete: boolean;
}

/** Reports a name that is given twice, and gives all names for the references. */
function namesOf(items: readonly Item[], report: Report): Names {
  const known = new Map<string, string>();
  let complete = true;
  for (const item of items) {
    const path = `${item.path}.name`;
    const name = item.value.name;
    if (typeof name !== "string" || name === "") {
      complete = false;
      continue;
    }
    const first = known.get(name);
    if (first === undefined) known.set(name, path);
    else report.wrong(path, `a name of its own: ${at(first, report)} is the same`);
  }
  return { known, complete };
}

/** `upstreams[0].name (line 4)` */
function at(path: string, report: Report): string {
  const line = report.placeOf(path)?.position.line;
  return line === undefined ? path : `${path} (line ${line})`;
}

/** Names listed at most in one message. */
const listedNamesMax = 12;

/** Reports a reference to a name that does not exist, unless an unreadable name may be the one meant. */
function checkReference(path: string, name: unknown, kind: string, names: Names, report: Report): void {
  if (typeof name !== "string" || name === "" || !names.complete) return;
  if (names.known.has(name)) return;
  if (report.full) return report.wrong(path, "");
  // A name that came from a reference is listed as it is written: its value is not for messages.
  const paths = [...names.known.values()];
  const shown = paths.slice(0, listedNamesMax).map((known) => report.placeOf(known)?.found ?? "");
  const listed = shown.join(", ") + (paths.length > listedNamesMax ? ", ..." : "");
  const word = report.placeOf(path)?.word ?? null;
  const literal = paths.flatMap((known) => report.placeOf(known)?.word ?? []);
  const suggestion = word === null ? "" : didYouMean(word, literal);
  report.wrong(path, `the name of ${kind}${listed === "" ? "" : ` (${listed})`}`, suggestion);
}

function checkGroupReference(forward: Item, names: Names, report: Report): void {
  const path = `${forward.path}.upstream_group`;
  const synonym = `${forward.path}.default_group`;
  const { upstream_group: group, default_group: older } = forward.value;
  checkReference(path, group, "an upstream group", names, report);
  checkReference(synonym, older, "an upstream group", names, report);
  if (group === undefined && older === undefined && !report.hasError(synonym)) {
    report.wrong(path, "the name of an upstream group");
  }
  if (typeof group === "string" && typeof older === "string" && group !== older) {
    report.wrong(synonym, "the same group as upstream_group, of which it is a synonym");
  }
}

function checkRatelimit(forward: Item, report: Report): void {
  const path = `${forward.path}.ratelimit`;
  const block = forward.value.ratelimit;
  warnIfSwitchIsLeftOut(block, path, report);
  const limit = ratelimitSchema.safeParse(block ?? {});
  if (!limit.success || limit.data.burst >= limit.data.per_second) return;
  if (report.placeOf(`${path}.burst`) !== undefined) {
    const bound = report.placeOf(`${path}.per_second`)?.found ?? `the default, ${limit.data.per_second}`;
    report.wrong(`${path}.burst`, `at least per_second (${bound})`);
  } else {
    report.wrong(`${path}.per_second`, `at most burst, which is ${limit.data.burst} where it is left out`);
  }
}

/** A block with values but without its switch looks as if it were at work. */
function warnIfSwitchIsLeftOut(block: unknown, path: string, report: Report): void {
  if (!isMapping(block) || block.enabled !== undefined || report.hasError(`${path}.enabled`)) return;
  report.warning(path, "found no key enabled, so the block stays off; add enabled: true or enabled: false");
}

interface ListenerItem {
  readonly listener: Listener;
  readonly path: string;
}

const listenerFields = { port: true, address: true } as const;
const forwardListener = z.pick(forwardSchema, listenerFields);
const adminListener = z.pick(adminSchema, listenerFields);

function checkListeners(forwards: readonly Item[], admin: unknown, report: Report): void {
  const table = new ListenerTable<ListenerItem>();
  const claim = (listener: Listener, path: string) => {
    const item = { listener, path };
    const other = table.claim(listener, item);
    if (other !== undefined) reportOverlap(item, other, report);
  };
  for (const forward of forwards) {
    const { port, address } = forward.value;
    const parsed = forwardListener.safeParse({ port, address });
    if (parsed.success) claim(parsed.data, forward.path);
  }
  const parsed = adminListener.safeParse({ port: child(admin, "port"), address: child(admin, "address") });
  if (parsed.success) claim(parsed.data, "http_server.admin");
}

/** Reports at the later of two listeners, or at the earlier one where the later is not in the file. */
function reportOverlap(later: ListenerItem, earlier: ListenerItem, report: Report): void {
  const [wrong, right] = report.placeOf(later.path) === undefined ? [earlier, later] : [later, earlier];
  const keys = [`${wrong.path}.port`, `${wrong.path}.address`, wrong.path];
  const path = keys.find((key) => report.placeOf(key) !== undefined) ?? wrong.path;
  report.wrong(
    path,
    `an address and port of its own: ${at(right.path, report)} listens there${byDefault(right, report)}`,
  );
}

function byDefault(item: ListenerItem, report: Report): string {
  return report.placeOf(`${item.path}.port`) === undefined ? ` (port ${item.listener.port} by default)` : "";
}

function checkUpstream(upstream: Item, report: Report): void {
  const path = `${upstream.path}.auth`;
  const auth = child(upstream.value, "auth") ?? {};
  const type = isMapping(auth) ? (auth.type ?? "none") : null;
  if (isMapping(auth)) checkCredentials(auth, type, path, report);
  checkUrl(upstream, type, report);
  for (const operation of itemsOf(upstream.value, "headers", `${upstream.path}.headers`)) {
    checkHeaderOperation(operation, report);
  }
}

const credentialKeys = { bearer: ["token"], basic: ["username", "password"], none: [] } as const;

function checkCredentials(auth: Mapping, type: unknown, path: string, report: Report): void {
  if (type !== "bearer" && type !== "basic" && type !== "none") return;
  const needed: readonly string[] = credentialKeys[type];
  for (const key of needed) {
    const value = auth[key];
    const blank = typeof value === "string" && (key === "token" ? value.trim() : value) === "";
    if (value === undefined || blank) {
      const expected = `a ${key} that is not empty, which auth.type ${type} needs`;
      report.wrong(`${path}.${key}`, expected, blank ? " (the value is empty)" : "");
    }
  }
  for (const key of ["token", "username", "password"]) {
    if (auth[key] === undefined || needed.includes(key)) continue;
    report.warning(`${path}.${key}`, `found a key that auth.type ${type} does not use`);
  }
}

function checkUrl(upstream: Item, type: unknown, report: Report): void {
  const url = upstream.value.url;
  const parsed = typeof url === "string" ? parseBaseUrl(url) : "unreadable";
  if (typeof parsed === "string" || parsed.credentials === null) return;
  if (type !== "bearer" && type !== "basic") return;
  report.wrong(
    `${upstream.path}.url`,
    `a URL without user name and password, since there is auth.type ${type}`,
  );
}

function checkHeaderOperation(operation: Item, report: Report): void {
  const { op, key, value } = operation.value;
  const path = `${operation.path}.value`;
  if (op === "remove") {
    if (value !== undefined) report.warning(path, "found a value, which op remove does not use");
  } else if (op === "insert" || op === "replace") {
    if (value === undefined) report.wrong(path, `a value, which op ${op} needs`);
    // A header that is empty on purpose is written as ""; a secret that turned out empty is a mistake.
    if (typeof value === "string" && value.trim() === "" && report.placeOf(path)?.expanded === true) {
      report.wrong(path, "a value that is not empty", " (the value is empty)");
    }
  }
  if (typeof key !== "string" || key.toLowerCase() !== "host") return;
  if (op === "insert" || op === "remove") {
    report.wrong(`${operation.path}.op`, "replace, the only operation on Host: a request always has one");
  }
  const expected = op === "replace" && typeof value === "string" ? hostValueRule(value) : null;
  if (expected !== null) report.wrong(path, expected);
}

function checkMembers(group: Item, names: Names, report: Report): void {
  const members = itemsOf(group.value, "upstreams", `${group.path}.upstreams`);
  const first = new Map<string, string>();
  for (const member of members) {
    const path = `${member.path}.name`;
    const name = member.value.name;
    if (typeof name !== "string" || name === "") continue;
    checkReference(path, name, "an upstream", names, report);
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, path);
    else report.wrong(path, `each upstream once: ${at(earlier, report)} is the same`);
  }
}

function checkClient(group: Item, report: Report): void {
  const path = `${group.path}.http_client`;
  const client = child(group.value, "http_client");
  warnIfSwitchIsLeftOut(child(client, "retry"), `${path}.retry`, report);
  const proxy = child(client, "proxy");
  warnIfSwitchIsLeftOut(proxy, `${path}.proxy`, report);
  if (!isMapping(proxy) || proxy.enabled !== true) return;
  if (proxy.url === undefined || proxy.url === "") {
    report.wrong(`${path}.proxy.url`, "the URL of the proxy, which enabled: true needs");
  }
  if (child(client, "transport") === "socket") {
    report.wrong(`${path}.transport`, "auto or fetch, since there is an outbound proxy");
  }
}

function child(value: unknown, key: string): unknown {
  return isMapping(value) ? value[key] : undefined;
}

/** The mappings of the list at `key`; whatever else it holds has its error already. */
function itemsOf(value: unknown, key: string, path: string): Item[] {
  const list = child(value, key);
  if (!Array.isArray(list)) return [];
  return list.flatMap((item, index) => (isMapping(item) ? [{ path: `${path}[${index}]`, value: item }] : []));
}
