import { describe, expect, test } from "bun:test";

import { compareProblems, formatProblem } from "../../src/config/problem.ts";
import { type Env, errorsOf, expectErrorAtMark, sampleWith, sampleYaml } from "./sample.ts";

/** A line of the sample, what replaces it (with a mark at the error), the error's path and message. */
type Case = [from: string, to: string, path: string, message: string, env?: Env];

const forward = "http_server.forwards[0]";
const token = "upstreams[0].auth.token";
const tokenLine = "token: sk-literal";
const client = "upstream_groups[0].http_client";
const forwardKeys =
  "address, default_group, forwarded, limits, max_body_size, name, port, ratelimit, timeout, trusted_proxies, upstream_group";
const port = "an integer from 0 to 65535 (0 = any free port)";
const name = "a name of 1 to 255 characters without control characters";

function run(cases: Case[]): void {
  test.each(cases)("%j replaced by %j", (from, to, path, message, env = {}) => {
    expectErrorAtMark(sampleWith([from, to]), path, message, env);
  });
}

describe("a wrong value is an error at the value", () => {
  run([
    [
      "port: 3000",
      'port: «"3000"',
      `${forward}.port`,
      `found the string "3000", expected ${port} (remove the quotes)`,
    ],
    ["port: 3000", "port: «70000", `${forward}.port`, `found 70000, expected ${port}`],
    ["port: 3000", "port: «abc", `${forward}.port`, `found the string "abc", expected ${port}`],
    ["port: 3000", "port:   «[1]", `${forward}.port`, `found a list, expected ${port}`],
    ["port: 3000", "port: «.nan", `${forward}.port`, `found .nan, expected ${port}`],
    ["port: 3000", "«port:", `${forward}.port`, `found nothing, expected ${port}`],
    ["stream: true", "stream: «yes", `${client}.stream`, 'found the string "yes", expected true or false'],
    [
      "stream: true",
      "stream: «'true'",
      `${client}.stream`,
      'found the string "true", expected true or false (remove the quotes)',
    ],
    [
      "name: side",
      "name: «12",
      "http_server.forwards[1].name",
      "found 12, expected a name (put it in quotes)",
    ],
    ["name: side", "name: «''", "http_server.forwards[1].name", `found "", expected ${name}`],
    [
      "name: side",
      'name: «"a\\e[2Jb"',
      "http_server.forwards[1].name",
      `found "a\\u001b[2Jb", expected ${name}`,
    ],
    [
      "strategy: random",
      "strategy: «ramdom",
      "upstream_groups[0].balance.strategy",
      'found "ramdom", expected one of roundrobin, weighted_roundrobin, random, response_aware, failover (did you mean "random"?)',
    ],
    [
      "type: bearer",
      "type: «bearr",
      "upstreams[0].auth.type",
      'found "bearr", expected one of bearer, basic, none (did you mean "bearer"?)',
    ],
    [
      "address: 127.0.0.1",
      "address: «localhost",
      `${forward}.address`,
      'found "localhost", expected an IPv4 or IPv6 address, such as 0.0.0.0, 127.0.0.1 or ::1 (no brackets)',
    ],
    [
      "max_body_size: 64MB",
      "max_body_size: «64XB",
      `${forward}.max_body_size`,
      'found the string "64XB", expected a size from 1 KB to 2 GB: bytes, or a number with KB, MB or GB (1 KB = 1024 bytes)',
    ],
    [
      "\n      timeout:\n        connect: 5",
      "\n      timeout: «5",
      `${forward}.timeout`,
      "found a number, expected a mapping (keys with values)",
    ],
    [
      "\n    upstreams:\n      - name: alpha\n        weight: 2\n      - name: beta",
      "\n    upstreams: «[]",
      "upstream_groups[0].upstreams",
      "found an empty list, expected at least one upstream",
    ],
  ]);
});

describe("a key that is missing, unknown or there twice", () => {
  run([
    [
      "name: side\n      port: 3001",
      "«port: 3001",
      "http_server.forwards[1].name",
      "found nothing, expected a name",
    ],
    [
      "address: 127.0.0.1",
      "«adress: 127.0.0.1",
      `${forward}.adress`,
      `found the unknown key "adress", expected one of ${forwardKeys} (did you mean "address"?)`,
    ],
    [
      "address: 127.0.0.1",
      "«retry: {}",
      `${forward}.retry`,
      `found the unknown key "retry", expected one of ${forwardKeys} ("retry" belongs to ${client.replace("[0]", "[]")})`,
    ],
    [
      "address: 127.0.0.1",
      "«qqqq: {}",
      `${forward}.qqqq`,
      `found the unknown key "qqqq", expected one of ${forwardKeys}`,
    ],
    [
      "address: 127.0.0.1",
      "«<<: {}",
      `${forward}["<<"]`,
      `found the unknown key "<<", expected one of ${forwardKeys} (merge keys are not part of YAML 1.2)`,
    ],
    [
      "address: 127.0.0.1",
      "«__proto__: {port: 1}",
      `${forward}.__proto__`,
      `found the unknown key "__proto__", expected one of ${forwardKeys}`,
    ],
    [
      "address: 127.0.0.1",
      "«constructor: 1",
      `${forward}.constructor`,
      `found the unknown key "constructor", expected one of ${forwardKeys}`,
    ],
    [
      "port: 3000",
      "port: 3000\n      «port: 3005",
      `${forward}.port`,
      'found the key "port" twice, first on line 4',
    ],
  ]);

  test("a missing required key is reported at the block that lacks it", () => {
    expectErrorAtMark(
      sampleWith(["- name: beta\n    url: http://127.0.0.1:8000", "- «name: beta"]),
      "upstreams[1].url",
      "found nothing, expected an http:// or https:// URL",
    );
    expectErrorAtMark(
      sampleWith([
        "name: side\n      port: 3001\n      upstream_group: pool",
        "«name: side\n      port: 3001",
      ]),
      "http_server.forwards[1].upstream_group",
      "found nothing, expected the name of an upstream group",
    );
    expectErrorAtMark(
      sampleWith(["        key: X-Extra\n", ""], ["- op: insert", "- «op: insert"]),
      "upstreams[0].headers[0].key",
      "found nothing, expected a header name",
    );
  });

  test("the three top-level keys are required", () => {
    const messages = errorsOf("{}").map(formatProblem);
    expect(messages).toEqual([
      "/nowhere/config.yaml:1:1: http_server: found nothing, expected a mapping (keys with values)",
      "/nowhere/config.yaml:1:1: upstreams: found nothing, expected a list (items beginning with -)",
      "/nowhere/config.yaml:1:1: upstream_groups: found nothing, expected a list (items beginning with -)",
    ]);
  });
});

describe("references to secrets that fail", () => {
  run([
    [tokenLine, "token: «${NOPE}", token, "found ${NOPE}, expected the environment variable NOPE to be set"],
    [
      tokenLine,
      "token: «a${NOPE}b",
      token,
      "found ${NOPE}, expected the environment variable NOPE to be set",
    ],
    [
      tokenLine,
      "token: «${file:/nowhere/x}",
      token,
      "found ${file:/nowhere/x}, expected a readable file of at most 64 KB: no such file",
    ],
    [
      tokenLine,
      "token: «pa${ss",
      token,
      "found a malformed ${...}, expected ${NAME}, ${NAME:-default} or ${file:/path}; write $${ for a literal ${",
    ],
    [
      "name: side",
      "name: «a${b c}",
      "http_server.forwards[1].name",
      'found "a${b c}", expected ${NAME}, ${NAME:-default} or ${file:/path}; write $${ for a literal ${',
    ],
    ["port: 3000", "port: «${PORT}", `${forward}.port`, `found \${PORT}, expected ${port}`, { PORT: "x" }],
    ["port: 3000", "port: «${PORT:-0x}", `${forward}.port`, `found "\${PORT:-0x}", expected ${port}`],
    ["port: 3000", "port: «${PORT}", `${forward}.port`, `found \${PORT}, expected ${port}`, { PORT: "" }],
    [
      tokenLine,
      "token: «${EMPTY}",
      token,
      "found ${EMPTY}, expected a token that is not empty, which auth.type bearer needs (the value is empty)",
      { EMPTY: "" },
    ],
    [
      "value: extra",
      "value: «${EMPTY}",
      "upstreams[0].headers[0].value",
      "found ${EMPTY}, expected a value that is not empty (the value is empty)",
      { EMPTY: "" },
    ],
  ]);
});

describe("all errors at once", () => {
  test("many mistakes are all reported, in the order of the file", () => {
    const changes: [string, string][] = [
      ["port: 3000", "port: 99999"],
      ["address: 127.0.0.1", "adress: 127.0.0.1"],
      ["name: side", "name: main"],
      ["type: bearer", "type: bear"],
      ["op: insert", "op: add"],
      ["threshold: 0.5", "threshold: 2"],
      ["weight: 2", "weight: 0"],
      ["- name: beta\n    balance", "- name: bata\n    balance"],
      ["enabled: false", "enabled: true"],
      ["url: http://proxy.example:3128", "url: socks://proxy"],
    ];
    const errors = errorsOf(sampleWith(...changes));
    expect(errors.map((error) => error.path)).toEqual([
      `${forward}.port`,
      `${forward}.adress`,
      "http_server.forwards[1].name",
      "upstreams[0].auth.type",
      "upstreams[0].headers[0].op",
      "upstreams[0].breaker.threshold",
      "upstream_groups[0].upstreams[0].weight",
      "upstream_groups[0].upstreams[1].name",
      `${client}.proxy.url`,
    ]);
    expect(errors).toEqual(errors.toSorted(compareProblems));
  });

  test("a mistake in a name is reported, not every reference to what it might have been", () => {
    const errors = errorsOf(sampleWith(["- name: beta\n    url", "- name: ${NOPE}\n    url"]));
    expect(errors.map((error) => error.path)).toEqual(["upstreams[1].name"]);
  });

  test("a value that cannot be read is not taken for its default", () => {
    // With the default of 3000 the second forward would collide with the first.
    const errors = errorsOf(sampleWith(["port: 3001", "port: ${NOPE}"], ["address: 127.0.0.1\n", "\n"]));
    expect(errors.map((error) => error.path)).toEqual(["http_server.forwards[1].port"]);
  });

  test("a thousand errors are listed, and how many more there are", () => {
    const lines = Array.from({ length: 1500 }, (_, i) => `key${i}: 1\n`).join("");
    const errors = errorsOf(sampleYaml + lines);
    expect(errors).toHaveLength(1001);
    expect(errors.at(-1)?.message).toBe("500 more errors");
  });
});
