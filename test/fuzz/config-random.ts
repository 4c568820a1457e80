import { childPath } from "../../src/config/problem.ts";
import { configShape, type ScalarShape, type Shape } from "../../src/config/schema-shape.ts";
import { assert } from "../../src/shared/assert.ts";
import type { Random } from "../support/random.ts";

/** A configuration as plain values, and the paths at which it breaks the schema. */
export interface ConfigTree {
  readonly tree: unknown;
  readonly wrong: readonly string[];
}

/** One in so many values is wrong, so that about every fourth configuration has a wrong one. */
const SLIP = 100;

/** What is in all secrets here and nowhere else. */
export const SECRET = "canary";

const KB = 1024;
/** Sizes as they are written, with what they mean. */
export const SIZES: ReadonlyMap<unknown, number> = new Map<unknown, number>([
  ["1KB", KB],
  ["1.5 k", 1.5 * KB],
  ["64 KiB", 64 * KB],
  ["1m", KB ** 2],
  ["16MB", 16 * KB ** 2],
  ["2 GB", 2 * KB ** 3],
  ["1024G", KB ** 4],
]);
const BAD_SIZES = ["", "1", "-1KB", "1 TB", "0x10KB", "1,5KB", "9999999999999KB", "0.00001KB"];

type Good = string | number | ((making: Making) => string);

/** Good and bad values of the keys that the shape alone says too little of. A key that is missing here fails the test. */
const VALUES: Readonly<Record<string, readonly [good: readonly Good[], bad: readonly unknown[]]>> = {
  name: [[(making) => making.name()], ["", "a\nb", "x".repeat(256)]],
  upstream_group: [[(making) => making.group()], ["", "\0"]],
  default_group: [[(making) => making.sameGroup()], ["", "\0"]],
  "upstream_groups[].upstreams[].name": [[(making) => making.member()], ["", "a\x7f"]],
  address: [
    ["0.0.0.0", "127.0.0.1", "10.0.0.1", "::", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"],
    ["", "localhost", "1.2.3", "01.2.3.4", "[::1]", "::1::", "1.2.3.4.5"],
  ],
  "trusted_proxies[]": [
    ["10.0.0.0/8", "::/0", "192.168.1.7", "2001:db8::/32"],
    ["10.0.0.1/8", "::/129", "all", ""],
  ],
  max_body_size: [
    ["1KB", "1.5 k", "64 KiB", "1m", "2 GB", KB, 2 * KB ** 3],
    [KB - 1, 2 * KB ** 3 + 1, 1500.5, ...BAD_SIZES],
  ],
  header_bytes: [
    ["1KB", "1.5 k", "64 KiB", "1m", KB, KB ** 2],
    [KB - 1, "2 GB", NaN, ...BAD_SIZES],
  ],
  max_buffered_bytes: [
    ["16MB", "2 GB", "1024G", KB ** 4],
    ["1m", KB ** 4 + 1, Infinity, ...BAD_SIZES],
  ],
  workers: [
    ["auto", 1, 64, "8"],
    ["", "all", 0, 65, 1.5, "-1"],
  ],
  path: [
    ["stdout", "/var/log/a"],
    ["", "stderr", "a/b", "/a/", "/a\nb"],
  ],
  format: [
    ["json", "text"],
    ["", "JSON", "xml"],
  ],
  op: [
    ["insert", "replace", "remove"],
    ["", "set"],
  ],
  key: [
    ["X-A", "host", "HOST", "Authorization", "x!#$%&'*+-.^_`|~"],
    ["", "X A", "X:", "é", "Connection", "content-length", "Proxy-X", "TE", "x\r\n"],
  ],
  value: [
    ["", `${SECRET}.test:80`, `${SECRET} b`, `a\t${SECRET}é`],
    [`a\r\n${SECRET}`, `\0${SECRET}`, SECRET.repeat(3000)],
  ],
  type: [
    ["bearer", "basic", "none"],
    ["", "Bearer"],
  ],
  token: [
    [SECRET, "", " "],
    [`${SECRET}\n`, `\x7f${SECRET}`],
  ],
  username: [
    [SECRET, ""],
    [`${SECRET}:`, `\n${SECRET}`],
  ],
  password: [[SECRET, `:${SECRET}`, ""], [`${SECRET}\r`]],
  url: [
    [
      "http://u",
      "https://u.example/v1/",
      "HTTP://u:8080//",
      `http://u/?key=${SECRET}`,
      `http://u:${SECRET}@h/v1`,
      "http://[::1]:1/a%20b",
    ],
    [
      "",
      "u",
      "ftp://u",
      "http:u",
      "http:///u",
      "http://u\\v",
      `http://h/#${SECRET}`,
      "http://h:0",
      "http://h:99999",
      `http://%zz:${SECRET}@h`,
    ],
  ],
  agent: [
    ["A/1", "a (b)"],
    ["", " ", "a\nb"],
  ],
  transport: [
    ["auto", "auto", "fetch", "socket"],
    ["", "sockets"],
  ],
  strategy: [
    ["roundrobin", "weighted_roundrobin", "random", "response_aware", "failover"],
    ["", "round-robin"],
  ],
  "upstream_groups[].http_client.proxy.url": [
    ["", "http://p:3128", `http://u:${SECRET}@p`, `https://${SECRET}@p:1/`],
    ["p:3128", "socks5://p", `http://p/${SECRET}`, `http://p?${SECRET}`, `http://p\n${SECRET}`],
  ],
};

/** In how many of a hundred configurations a key is there; 35 where nothing is said, always where it is required. */
const PRESENCE: Readonly<Record<string, number>> = {
  "http_server.forwards[].port": 95,
  "http_server.forwards[].upstream_group": 95,
  "http_server.forwards[].default_group": 10,
  "upstreams[].auth.token": 95,
  "upstreams[].auth.username": 95,
  "upstreams[].auth.password": 95,
  "upstreams[].headers[].value": 95,
  "upstream_groups[].http_client.proxy.url": 90,
};
const REQUIRED =
  /^(http_server|upstreams|upstream_groups)$|\.(forwards|name|op|key)$|^upstreams\[\]\.url$|^upstream_groups\[\]\.upstreams$/;
/** Keys that hold a number which need not be whole. */
const DECIMAL = /\.(threshold|budget)$/;
const LENGTHS: Readonly<Record<string, number>> = { headers: 2, trusted_proxies: 2 };

/** A configuration in the making. */
class Making {
  readonly random: Random;
  readonly wrong: string[] = [];
  readonly forwards: number;
  readonly upstreams: number;
  readonly groups: number;
  private named = 0;
  private lastGroup = "";
  private memberAt = 0;

  constructor(random: Random) {
    this.random = random;
    this.forwards = 1 + (random.below(3) >> 1);
    this.upstreams = 1 + random.below(2);
    this.groups = 1 + (random.below(3) >> 1);
  }

  slips(): boolean {
    return this.random.below(SLIP) === 0;
  }

  has(percent: number): boolean {
    return this.random.below(100) < percent;
  }

  /** Mostly a name of its own: the kinds come one after the other, each item with its number. */
  name(): string {
    return this.has(98) ? `n${this.named++}` : "n0";
  }

  group(): string {
    this.lastGroup = this.has(98)
      ? `n${this.forwards + this.upstreams + this.random.below(this.groups)}`
      : "nobody";
    return this.lastGroup;
  }

  sameGroup(): string {
    return this.lastGroup === "" || !this.has(90) ? this.group() : this.lastGroup;
  }

  member(): string {
    return this.has(98) ? `n${this.forwards + (this.memberAt++ % this.upstreams)}` : "nobody";
  }
}

type Maker = (making: Making, path: string) => unknown;

function wrongOf(making: Making, path: string, values: readonly unknown[]): unknown {
  making.wrong.push(path);
  return making.random.pick(values);
}

/** `upstreams[].url` for `upstreams[0].url`; its key alone is enough where no other key has that name. */
function valuesOf(pattern: string): readonly [readonly Good[], readonly unknown[]] {
  const values = VALUES[pattern] ?? VALUES[pattern.slice(pattern.lastIndexOf(".") + 1)];
  assert(values !== undefined, `no values are known for ${pattern}`);
  return values;
}

/** The rule of making values of this shape, made once. `pattern`: where they are. */
function makerOf(shape: Shape, pattern: string): Maker {
  if (shape.kind === "scalar") return scalarMaker(shape, pattern);
  if (shape.kind === "list") {
    const item = makerOf(shape.item, `${pattern}[]`);
    const key = pattern.slice(pattern.lastIndexOf(".") + 1);
    return (making, path) => {
      const max = LENGTHS[key];
      if (making.slips())
        return wrongOf(making, path, [{}, "text", 1, null, ...(max === undefined ? [[]] : [])]);
      const length = max === undefined ? lengthOf(making, pattern) : making.random.below(max + 1);
      return Array.from({ length }, (_, i) => item(making, `${path}[${i}]`));
    };
  }
  const keys = [...shape.keys].map(([key, child]) => {
    const full = childPath(pattern, key);
    const required = REQUIRED.test(full);
    return { key, required, percent: required ? 100 : (PRESENCE[full] ?? 35), make: makerOf(child, full) };
  });
  return (making, path) => {
    if (making.slips()) return wrongOf(making, path, [[], "text", 1, true, null]);
    const mapping: Record<string, unknown> = {};
    for (const { key, required, percent, make } of keys) {
      if (!making.has(percent)) continue;
      const full = path === "" ? key : `${path}.${key}`;
      if (required && making.slips()) making.wrong.push(full);
      else mapping[key] = make(making, full);
    }
    if (making.slips()) {
      mapping["bogus"] = SECRET;
      making.wrong.push(childPath(path, "bogus"));
    }
    return mapping;
  };
}

function lengthOf(making: Making, pattern: string): number {
  if (pattern === "http_server.forwards") return making.forwards;
  return pattern === "upstream_groups" ? making.groups : making.upstreams;
}

function scalarMaker({ type, range }: ScalarShape, pattern: string): Maker {
  if (type === "boolean")
    return (making, path) =>
      making.slips() ? wrongOf(making, path, ["true", 1, null, [], {}]) : making.random.below(2) === 0;
  if (type === "number") {
    assert(range !== null, `the range of ${pattern} is known`);
    const { min, max } = range;
    const decimal = DECIMAL.test(pattern);
    const bad = [min - 1, max + 1, NaN, -Infinity, Infinity, "5", null, true, [], {}];
    if (!decimal) bad.push(min + 0.5, max - 0.1);
    return (making, path) => {
      if (making.slips()) return wrongOf(making, path, bad);
      const { random } = making;
      const between = decimal ? (min + max) / 2 : min + random.below(max - min + 1);
      return random.pick([min, max, between]);
    };
  }
  const [good, bad] = valuesOf(pattern);
  const wrong = [...bad, null, true, [], {}, [SECRET], ...(type === "string" ? [1] : [])];
  return (making, path) => {
    if (making.slips()) return wrongOf(making, path, wrong);
    const value = making.random.pick(good);
    return typeof value === "function" ? value(making) : value;
  };
}

const makeConfig = makerOf(configShape, "");

/** A configuration in which any key may be there or not, and a few values are wrong. */
export function randomConfig(random: Random): ConfigTree {
  const making = new Making(random);
  const tree = makeConfig(making, "");
  return { tree, wrong: making.wrong };
}
