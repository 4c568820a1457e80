import {
  configShape,
  type MappingShape,
  type ScalarShape,
  type Shape,
} from "../../src/config/schema-shape.ts";
import { isMapping, type Mapping, unreadable } from "../../src/config/tree.ts";
import type { Random } from "../support/random.ts";

/** A configuration as it is read from YAML: mappings without prototypes. Frozen, since all mutants share it. */
function treeOf(value: unknown): unknown {
  if (Array.isArray(value)) return Object.freeze(value.map(treeOf));
  if (!isMapping(value)) return value;
  const mapping = Object.create(null);
  for (const [key, child] of Object.entries(value)) mapping[key] = treeOf(child);
  return Object.freeze(mapping);
}

/** Valid configurations: one with hardly more than what is needed, and one of everything. Secrets say `canary`. */
export const TREES: readonly unknown[] = [
  {
    http_server: { forwards: [{ name: "a", upstream_group: "b" }] },
    upstreams: [{ name: "a", url: "http://canary:canary@h:81/v1?key=canary" }],
    upstream_groups: [{ name: "b", upstreams: [{ name: "a" }] }],
  },
  {
    http_server: {
      forwards: [
        {
          name: "a",
          port: 3000,
          address: "127.0.0.1",
          upstream_group: "b",
          ratelimit: { enabled: true, per_second: 10, burst: 20, clients: 2048 },
          trusted_proxies: ["10.0.0.0/8"],
          forwarded: true,
          timeout: { connect: 5 },
          max_body_size: "64MB",
          limits: { header_bytes: 4096, headers: 50, in_flight: 9, write_stall: 9 },
        },
        { name: "b", port: 3001, default_group: "a" },
      ],
      admin: { port: 9000, address: "::1" },
      access_log: { enabled: true, path: "/log", format: "text", query: true },
      workers: 2,
      max_buffered_bytes: "1GB",
    },
    upstreams: [
      {
        name: "a",
        url: "https://h/v1?key=canary",
        auth: { type: "bearer", token: "canary-token" },
        headers: [
          { op: "insert", key: "X-A", value: "canary-value" },
          { op: "remove", key: "X-B" },
        ],
        breaker: { threshold: 0.5, cooldown: 9, min_requests: 3, window: 9, half_open_requests: 2 },
        max_in_flight: 7,
      },
      { name: "b", url: "http://h", auth: { type: "basic", username: "canary", password: "canary" } },
    ],
    upstream_groups: [
      {
        name: "b",
        upstreams: [{ name: "a", weight: 2 }, { name: "b" }],
        balance: { strategy: "weighted_roundrobin" },
        http_client: {
          agent: "A/1",
          max_idle: 3,
          keepalive: 0,
          stream: false,
          timeout: { connect: 7, request: 8, idle: 9 },
          retry: { enabled: true, attempts: 2, initial: 100, budget: 0.5 },
          proxy: { enabled: true, url: "http://canary:canary@proxy:3128" },
        },
      },
      { name: "a", upstreams: [{ name: "b" }], balance: { strategy: "failover" } },
    ],
  },
].map(treeOf);

const NAMES = ["a", "b", "c"];
const WORDS = [
  ...["", " ", "x", "0", "-1", "7", "1e3", "0x10", "auto", "true", "1KB", "64MB", "1.5g", "9999GB", "1.7 KB"],
  ...[
    "0.0.0.0",
    "::",
    "::1",
    "::ffff:0.0.0.0",
    "fe80::1%eth0",
    "::1%\x1b[31m",
    "1.2.3",
    "10.0.0.0/8",
    "10.0.0.1/8",
    "::/0",
  ],
  ...[
    "http://h",
    "http://canary@h/#f",
    "http://canary:canary@h",
    "https://[::1]:8/a//",
    "http:h",
    "http://h:0",
  ],
  ...["http://%zz:canary@h", "http://h/%zz?%zz", "http://\u{1f30d}/\u202e", "HTTP://H\\x", "ws://canary@h"],
  ...[
    "bearer",
    "basic",
    "none",
    "insert",
    "replace",
    "remove",
    "random",
    "failover",
    "socket",
    "fetch",
    "json",
  ],
  ...["Host", "X-A", "Content-Length", "proxy-x", "x y", "stdout", "/log", "/", "a\nb", "a\0b", "\x7f"],
  ...["\x85", "\x9b31m", "\u202ea", "\u2028", "\ud800", "\udfff", "\ufeff", "\u{1f30d}", "\u010d\u010a"],
  ...["__proto__", "constructor", "toString", "n".repeat(255), "n".repeat(256), "n".repeat(20_000)],
];
const NUMBERS = [0, -0, -1, 0.5, 1e-9, 80, 1024, 65_536, 2 ** 31, 2 ** 53, 1e21, Number.MAX_VALUE];
const OTHERS: readonly unknown[] = [
  ...[null, true, false, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, unreadable],
  ...[[], {}, [[]], [null], [{}], { a: {} }, { name: "a" }, [{ name: "a" }, { name: "a" }]].map(treeOf),
];
const KEYS = [
  "__proto__",
  "constructor",
  "toString",
  "<<",
  "",
  "a.b",
  "a[0]",
  "nam",
  "token:canary",
  "\ud800",
];

/** A tree with a place or two changed, to something that may or may not be allowed there. Mostly the small, quick one. */
export function mutatedTree(random: Random): unknown {
  let tree = TREES[random.below(3) === 0 ? 1 : 0];
  for (let count = 1 + (random.below(4) >> 1); count > 0; count--) tree = mutated(tree, configShape, random);
  return tree;
}

/** The tree with some places changed that are free: it stays valid. */
export function harmlessTree(random: Random): unknown {
  return varied(random.pick(TREES), configShape, "", random);
}

/** Goes down to a random place and changes it there; copies what is on the way only. */
function mutated(node: unknown, shape: Shape | undefined, random: Random): unknown {
  if (random.below(5) > 0) {
    if (Array.isArray(node) && node.length > 0) {
      const at = random.below(node.length);
      return node.with(at, mutated(node[at], shape?.kind === "list" ? shape.item : undefined, random));
    }
    if (isMapping(node)) {
      const key = random.pick(Object.keys(node));
      const child = shape?.kind === "mapping" ? shape.keys.get(key) : undefined;
      if (key !== undefined) return withKey(node, key, mutated(node[key], child, random));
    }
  }
  if (random.below(12) === 0) return random.pick(OTHERS);
  if (Array.isArray(node)) return mutatedList(node, random);
  if (isMapping(node)) return mutatedMapping(node, shape, random);
  return valueFor(shape, random);
}

function mutatedList(list: readonly unknown[], random: Random): unknown {
  switch (random.below(4)) {
    case 0:
      return [];
    case 1:
      return [...list, ...list];
    case 2:
      return list.toSpliced(random.below(list.length + 1), 1);
    default:
      return [...list, random.pick(OTHERS)];
  }
}

function mutatedMapping(mapping: Mapping, shape: Shape | undefined, random: Random): Mapping {
  const keys = Object.keys(mapping);
  const key = random.pick(keys) ?? "";
  const { [key]: value, ...others } = mapping;
  const rest: Mapping = withKey(others, "", undefined);
  switch (random.below(8)) {
    case 0:
      return rest;
    case 1:
      return withKey(rest, random.pick([...KEYS, key.slice(1), `${key}s`]), value);
    case 2:
      return withKey(mapping, random.pick(KEYS), value);
    default: {
      const known = shape?.kind === "mapping" ? [...shape.keys.keys()] : KEYS;
      const added = random.pick(known);
      return withKey(mapping, added, valueFor((shape as MappingShape | undefined)?.keys?.get(added), random));
    }
  }
}

/** A copy without a prototype, with this key; without it where the value is undefined. */
function withKey(mapping: Mapping, key: string, value: unknown): Mapping {
  const copy = Object.assign(Object.create(null), mapping);
  if (value === undefined) delete copy[key];
  else copy[key] = value;
  return copy;
}

/** Something of the right type as often as not. */
function valueFor(shape: Shape | undefined, random: Random): unknown {
  const kind = random.below(12);
  if (kind === 0) return random.pick(OTHERS);
  if (kind === 1) return random.pick(NUMBERS);
  if (shape?.kind === "mapping") return Object.create(null);
  if (shape?.kind === "list") return [valueFor(shape.item, random)];
  if (shape?.type === "boolean") return random.below(2) === 0;
  if (shape?.type === "number") {
    const { min, max } = shape.range!;
    return random.pick([min, max, min - 1, max + 1, min + 1, (min + max) / 2]);
  }
  return random.pick(random.below(2) === 0 ? NAMES : WORDS);
}

/** The keys whose numbers hang together with others. */
const BOUND_KEYS = new Set(["port", "burst", "per_second"]);

function varied(node: unknown, shape: Shape, key: string, random: Random): unknown {
  const isOrdered = random.below(2) === 0;
  if (Array.isArray(node)) {
    const item = shape.kind === "list" ? shape.item : shape;
    const list = node.map((child) => varied(child, item, key, random));
    return isOrdered ? list : list.toReversed();
  }
  if (isMapping(node) && shape.kind === "mapping") {
    const keys = isOrdered ? Object.keys(node) : Object.keys(node).toReversed();
    const mapping = Object.create(null);
    for (const name of keys) mapping[name] = varied(node[name], shape.keys.get(name)!, name, random);
    return mapping;
  }
  if (isOrdered || BOUND_KEYS.has(key) || shape.kind !== "scalar") return node;
  return variedScalar(node, shape, random);
}

function variedScalar(value: unknown, shape: ScalarShape, random: Random): unknown {
  if (shape.type === "boolean") return random.below(2) === 0;
  if (shape.range === null || typeof value !== "number") return value;
  const { min, max } = shape.range;
  return random.pick([min, max, Math.max(min, Math.floor(max / 2))]);
}
