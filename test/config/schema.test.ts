import { describe, expect, test } from "bun:test";

import { configShape, type Shape } from "../../src/config/schema-shape.ts";
import { loadValue, setAt, smallConfig, valueAt } from "./sample.ts";

const forward = "http_server.forwards[0]";
const admin = "http_server.admin";
const accessLog = "http_server.access_log";
const upstream = "upstreams[0]";
const group = "upstream_groups[0]";
const client = `${group}.http_client`;

/** Keys with a number: default (undefined = none), smallest, largest, and what else the ends need to be allowed. */
const numbers: [
  path: string,
  fallback: number | undefined,
  min: number,
  max: number,
  also?: Record<string, unknown>,
][] = [
  [`${forward}.port`, 3000, 0, 65535],
  [`${forward}.ratelimit.per_second`, 100, 1, 10_000, { [`${forward}.ratelimit.burst`]: 20_000 }],
  [`${forward}.ratelimit.burst`, 200, 1, 20_000, { [`${forward}.ratelimit.per_second`]: 1 }],
  [`${forward}.ratelimit.clients`, 65_536, 1024, 1_048_576],
  [`${forward}.limits.headers`, 200, 10, 2000],
  [`${forward}.limits.connections`, 10_000, 1, 1_000_000],
  [`${forward}.limits.in_flight`, undefined, 1, 1_000_000],
  [`${forward}.limits.idle`, 75, 1, 3600],
  [`${forward}.limits.write_stall`, 60, 1, 3600],
  [`${forward}.timeout.connect`, 10, 1, 120],
  [`${admin}.port`, 9000, 0, 65535],
  [`${admin}.timeout.connect`, 10, 1, 120],
  [`${upstream}.max_in_flight`, undefined, 1, 1_000_000],
  [`${upstream}.breaker.cooldown`, 30, 1, 3600],
  [`${upstream}.breaker.min_requests`, 5, 1, 10_000],
  [`${upstream}.breaker.window`, 30, 1, 3600],
  [`${upstream}.breaker.half_open_requests`, 1, 1, 16],
  [`${group}.upstreams[0].weight`, 1, 1, 65535],
  [`${client}.max_idle`, 256, 0, 100_000],
  [`${client}.keepalive`, 60, 0, 600],
  [`${client}.timeout.connect`, 10, 1, 120],
  [`${client}.timeout.request`, 300, 1, 1200],
  [`${client}.timeout.idle`, 60, 5, 1800],
  [`${client}.retry.attempts`, 3, 1, 100],
  [`${client}.retry.initial`, 500, 100, 10_000],
];

/** Keys with a fraction: default, smallest, largest, just below, just above. */
const fractions: [path: string, fallback: number, min: number, max: number, below: number, above: number][] =
  [
    [`${upstream}.breaker.threshold`, 0.5, 0.01, 1, 0.0099, 1.0001],
    [`${client}.retry.budget`, 0.2, 0, 1, -0.0001, 1.0001],
  ];

const flags: [path: string, fallback: boolean][] = [
  [`${forward}.ratelimit.enabled`, false],
  [`${forward}.forwarded`, false],
  [`${accessLog}.enabled`, false],
  [`${accessLog}.query`, false],
  [`${client}.stream`, true],
  [`${client}.retry.enabled`, false],
  [`${client}.proxy.enabled`, false],
];

const choices: [path: string, fallback: string, values: string[]][] = [
  [
    `${group}.balance.strategy`,
    "roundrobin",
    ["roundrobin", "weighted_roundrobin", "random", "response_aware", "failover"],
  ],
  [`${upstream}.auth.type`, "none", ["bearer", "basic", "none"]],
  [`${accessLog}.format`, "json", ["json", "text"]],
  [`${client}.transport`, "auto", ["auto", "fetch", "socket"]],
];

/** Keys with a text: default (undefined = none), values that are allowed, values that are not. */
const texts: [path: string, fallback: string | undefined, allowed: string[], refused: unknown[]][] = [
  [
    `${forward}.address`,
    "0.0.0.0",
    ["127.0.0.1", "::", "::1", "fe80::1%eth0"],
    ["localhost", "[::1]", "1.2.3", ""],
  ],
  [
    `${accessLog}.path`,
    "stdout",
    ["stdout", "/var/log/a.log"],
    ["stderr", "a.log", "/var/log/", "/a\nb", ""],
  ],
  [
    `${admin}.address`,
    "0.0.0.0",
    ["10.0.0.1", "::1", "fe80::1%eth0.1"],
    ["0.0.0.0:9000", "host", "::1%\x1b[31m"],
  ],
  [`${client}.agent`, "LLMProxy/1.0", ["x", "a b/1 (c)", "\u00e9"], ["", " ", "a\nb", "a\u0000", 1]],
  [`${upstream}.auth.token`, undefined, ["sk-1", "a b"], ["a\nb", "a\tb", 1, true]],
  [`${upstream}.auth.username`, undefined, ["ann"], ["a:b", "a\rb"]],
  [`${upstream}.auth.password`, undefined, ["p:w", "\u00fc"], ["a\u007f", 5]],
  [
    `${forward}.name`,
    undefined,
    ["a", "a b", "\u{1f30d}", "x".repeat(255)],
    ["", "a\nb", "\x9b31m", "\u2028", "\u202ea", "\u2066", "\ud800", "x".repeat(256), 1],
  ],
  [`${upstream}.url`, undefined, ["http://a", "https://[::1]:8443/v1?k=1"], ["ftp://a", "a", "", 1]],
];

function withValue(
  path: string,
  value: unknown,
  also: Record<string, unknown> = {},
): Record<string, unknown> {
  const config = smallConfig();
  // Something else in the block, so that it is there when the key itself is left out.
  if (path.includes("breaker")) setAt(config, `${upstream}.breaker`, {});
  for (const [key, other] of Object.entries(also)) setAt(config, key, other);
  if (value !== undefined) setAt(config, path, value);
  return config;
}

function expectValue(
  path: string,
  value: unknown,
  expected: unknown,
  also: Record<string, unknown> = {},
): void {
  const result = loadValue(withValue(path, value, also));
  expect(result).toMatchObject({ ok: true });
  if (result.ok) expect(valueAt(result.config, path)).toEqual(expected);
}

function expectRefused(path: string, value: unknown, also: Record<string, unknown> = {}): void {
  const result = loadValue(withValue(path, value, also));
  expect(result.ok ? [] : result.errors.map((error) => error.path)).toEqual([path]);
}

describe("numbers", () => {
  test.each(numbers)("%s is %d by default, from %d to %d", (path, fallback, min, max, also = {}) => {
    expectValue(path, undefined, fallback);
    expectValue(path, min, min, also);
    expectValue(path, max, max, also);
    for (const value of [min - 1, max + 1, min + 0.5, `${min}`, true, [], {}, 1e300]) {
      expectRefused(path, value, also);
    }
  });

  test.each(fractions)("%s is %d by default, from %d to %d", (path, fallback, min, max, below, above) => {
    expectValue(path, undefined, fallback);
    expectValue(path, min, min);
    expectValue(path, max, max);
    expectValue(path, 0.25, 0.25);
    for (const value of [below, above, "0.5", false]) expectRefused(path, value);
  });
});

describe("switches and choices", () => {
  test.each(flags)("%s is %p by default, and only true or false", (path, fallback) => {
    const also = { [`${client}.proxy.url`]: "http://proxy.example" };
    expectValue(path, undefined, fallback);
    expectValue(path, true, true, also);
    expectValue(path, false, false, also);
    for (const value of ["true", "yes", 1, 0]) expectRefused(path, value, also);
  });

  test.each(choices)("%s is %s by default, and one of its values", (path, fallback, values) => {
    const also = { [`${upstream}.auth`]: { token: "t", username: "u", password: "p" } };
    expectValue(path, undefined, fallback);
    for (const value of values) expectValue(path, value, value, also);
    for (const value of ["", values[0]!.toUpperCase(), "other", 1, true]) expectRefused(path, value, also);
  });
});

describe("texts", () => {
  test.each(texts)("%s is %s by default and keeps to its rule", (path, fallback, allowed, refused) => {
    const required = path.endsWith(".name") || path.endsWith(".url");
    if (!required) expectValue(path, undefined, fallback);
    for (const value of allowed) expectValue(path, value, value);
    for (const value of refused) expectRefused(path, value);
  });

  const sizes: [value: unknown, bytes: number][] = [
    [undefined, 134_217_728],
    [1024, 1024],
    [2_147_483_648, 2_147_483_648],
    ["1KB", 1024],
    ["64 kb", 65_536],
    ["64KiB", 65_536],
    ["128MB", 134_217_728],
    ["1.5m", 1_572_864],
    ["1GiB", 1_073_741_824],
    ["2g", 2_147_483_648],
  ];
  test.each(sizes)("a body size of %p is %d bytes", (value, bytes) => {
    expectValue(`${forward}.max_body_size`, value, bytes);
  });

  const notSizes = [
    1023,
    2_147_483_649,
    1024.5,
    -1,
    "1023",
    "2048",
    "3GB",
    "0.5KB",
    "12XB",
    "MB",
    "",
    "1e3KB",
    true,
  ];
  test.each(notSizes)("a body size of %p is refused", (value) => {
    expectRefused(`${forward}.max_body_size`, value);
  });
});

describe("other sizes", () => {
  test.each([
    [`${forward}.limits.header_bytes`, 32_768, "1KB", 1024, "1MB", 1_048_576],
    ["http_server.max_buffered_bytes", undefined, "16MB", 16_777_216, "1024GB", 1024 ** 4],
  ])("%s is %p by default, from %s to %s", (path, fallback, min, minBytes, max, maxBytes) => {
    expectValue(path, undefined, fallback);
    expectValue(path, min, minBytes);
    expectValue(path, max, maxBytes);
    for (const value of [minBytes - 1, maxBytes + 1, "x"]) expectRefused(path, value);
  });
});

test("the workers are a number or auto, which is the default", () => {
  const key = "http_server.workers";
  for (const value of [undefined, "auto"]) expectValue(key, value, "auto");
  for (const [value, count] of [
    [1, 1],
    ["8", 8],
    [64, 64],
  ] as const)
    expectValue(key, value, count);
  for (const value of [0, 65, 1.5, "", "many", true]) expectRefused(key, value);
});

describe("trusted proxies", () => {
  const key = `${forward}.trusted_proxies`;
  test.each([
    "10.0.0.0/8",
    "192.168.1.7",
    "0.0.0.0/0",
    "::1",
    "2001:db8::/32",
    "::ffff:10.0.0.0/104",
    "::/0",
  ])("%s may be trusted", (value) => expectValue(key, [value], [value]));
  test.each([
    "10.0.0.1/8",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0/8",
    "fe80::1%eth0",
    "2001:db8::1/32",
    "host",
    "",
    1,
  ])("%p is refused", (value) => {
    const result = loadValue(withValue(key, [value]));
    expect(result.ok ? [] : result.errors.map((error) => error.path)).toEqual([`${key}[0]`]);
  });
  test("nobody is trusted by default", () => expectValue(key, undefined, []));
});

test("every key of the schema has a row here or a test of its own", () => {
  const own = [
    "http_server.forwards[].upstream_group",
    "http_server.forwards[].default_group",
    "http_server.forwards[].max_body_size",
    "http_server.forwards[].limits.header_bytes",
    "http_server.forwards[].trusted_proxies[]",
    "http_server.max_buffered_bytes",
    "http_server.workers",
    "upstreams[].name",
    "upstreams[].headers[].op",
    "upstreams[].headers[].key",
    "upstreams[].headers[].value",
    "upstream_groups[].name",
    "upstream_groups[].upstreams[].name",
    "upstream_groups[].http_client.proxy.url",
  ];
  const rows = [...numbers, ...fractions, ...flags, ...choices, ...texts].map(([path]) =>
    path.replaceAll("[0]", "[]"),
  );
  expect([...own, ...rows].toSorted()).toEqual(leaves(configShape, "").toSorted());
});

function leaves(shape: Shape, path: string): string[] {
  if (shape.kind === "scalar") return [path];
  if (shape.kind === "list") return leaves(shape.item, `${path}[]`);
  return [...shape.keys].flatMap(([key, child]) => leaves(child, path === "" ? key : `${path}.${key}`));
}
