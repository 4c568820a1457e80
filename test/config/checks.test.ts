import { describe, expect, test } from "bun:test";

import { type Env, errorsOf, expectErrorAtMark, loadValid, sampleWith } from "./sample.ts";

type Case = [from: string, to: string, path: string, message: string, env?: Env];

const forward = "http_server.forwards[0]";
const side = "http_server.forwards[1]";
const proxy = "upstream_groups[0].http_client.proxy";

function run(cases: Case[]): void {
  test.each(cases)("%j replaced by %j", (from, to, path, message, env = {}) => {
    expectErrorAtMark(sampleWith([from, to]), path, message, env);
  });
}

describe("names and references", () => {
  run([
    [
      "name: side",
      "name: «main",
      `${side}.name`,
      `found "main", expected a name of its own: ${forward}.name (line 3) is the same`,
    ],
    [
      "- name: beta\n    url: http://127.0.0.1:8000",
      "- name: beta\n    url: http://127.0.0.1:8000\n  - name: «alpha\n    url: http://a",
      "upstreams[2].name",
      'found "alpha", expected a name of its own: upstreams[0].name (line 18) is the same',
    ],
    [
      "      upstream_group: pool\n      ratelimit",
      "      upstream_group: «pol\n      ratelimit",
      `${forward}.upstream_group`,
      'found "pol", expected the name of an upstream group ("pool") (did you mean "pool"?)',
    ],
    [
      "      upstream_group: pool\n      ratelimit",
      "      default_group: «elsewhere\n      ratelimit",
      `${forward}.default_group`,
      'found "elsewhere", expected the name of an upstream group ("pool")',
    ],
    [
      "      - name: beta\n    balance",
      "      - name: «betta\n    balance",
      "upstream_groups[0].upstreams[1].name",
      'found "betta", expected the name of an upstream ("alpha", "beta") (did you mean "beta"?)',
    ],
    [
      "      - name: beta\n    balance",
      "      - name: «alpha\n    balance",
      "upstream_groups[0].upstreams[1].name",
      'found "alpha", expected each upstream once: upstream_groups[0].upstreams[0].name (line 34) is the same',
    ],
  ]);

  test("default_group is a synonym of upstream_group", () => {
    const { plan } = loadValid(
      sampleWith(["upstream_group: pool\n      ratelimit", "default_group: pool\n      ratelimit"]),
    );
    expect(plan.forwards[0]?.group).toBe(0);
    const both = "upstream_group: pool\n      default_group: pool\n      ratelimit";
    expect(
      loadValid(sampleWith(["upstream_group: pool\n      ratelimit", both])).plan.forwards[0]?.group,
    ).toBe(0);
  });

  test("the two names of the group must not differ", () => {
    const other = "\n  - name: other\n    upstreams: [{ name: beta }]\n";
    const text = sampleWith(
      [
        "upstream_group: pool\n      ratelimit",
        "upstream_group: pool\n      default_group: «other\n      ratelimit",
      ],
      ["3128\n", `3128${other}`],
    );
    const message = 'found "other", expected the same group as upstream_group, of which it is a synonym';
    expectErrorAtMark(text, `${forward}.default_group`, message);
  });
});

describe("listeners", () => {
  const taken = (path: string, line: number) =>
    `expected an address and port of its own: ${path} (line ${line}) listens there`;

  run([
    ["port: 3001", "port: «3000", `${side}.port`, `found 3000, ${taken(forward, 3)}`],
    ["port: 3001", 'port: «3000\n      address: "::"', `${side}.port`, `found 3000, ${taken(forward, 3)}`],
    [
      "port: 3001",
      "port: «3000\n      address: ::ffff:127.0.0.1",
      `${side}.port`,
      `found 3000, ${taken(forward, 3)}`,
    ],
    ["port: 9000", "port: «3001", "http_server.admin.port", `found 3001, ${taken(side, 11)}`],
    ["port: 9000", "port: «3000", "http_server.admin.port", `found 3000, ${taken(forward, 3)}`],
    [
      "port: 3001\n      upstream_group: pool\n  admin:\n    port: 9000\n    address: 127.0.0.1",
      "port: «9000\n      upstream_group: pool",
      `${side}.port`,
      "found 9000, expected an address and port of its own: http_server.admin listens there (port 9000 by default)",
    ],
    [
      "- name: side\n      port: 3001\n      upstream_group: pool",
      "- name: side\n      upstream_group: pool\n      address: «127.0.0.1",
      `${side}.address`,
      `found "127.0.0.1", ${taken(forward, 3)}`,
    ],
  ]);

  const apart = ["port: 3000\n      address: 127.0.0.2", 'port: 3000\n      address: "::1"', "port: 0"];
  test.each(apart)("%j is no collision", (lines) => {
    loadValid(sampleWith(["port: 3001", lines]));
  });

  test("port 0 may be used by every listener", () => {
    loadValid(sampleWith(["port: 3000", "port: 0"], ["port: 3001", "port: 0"], ["port: 9000", "port: 0"]));
  });
});

describe("rate limit", () => {
  const limit = "ratelimit: { enabled: true, per_second: 10, burst: 20 }";
  run([
    [
      limit,
      "ratelimit: { per_second: 10, burst: «9 }",
      `${forward}.ratelimit.burst`,
      "found 9, expected at least per_second (10)",
    ],
    [
      limit,
      "ratelimit: { burst: «99 }",
      `${forward}.ratelimit.burst`,
      "found 99, expected at least per_second (the default, 100)",
    ],
    [
      limit,
      "ratelimit: { per_second: «201 }",
      `${forward}.ratelimit.per_second`,
      "found 201, expected at most burst, which is 200 where it is left out",
    ],
  ]);

  test("a burst of exactly per_second is allowed", () => {
    loadValid(sampleWith([limit, "ratelimit: { enabled: true, per_second: 20, burst: 20 }"]));
  });
});

describe("a block whose switch is left out", () => {
  const switches: [from: string, to: string, line: number, column: number, path: string][] = [
    ["  admin:", "  access_log: { format: text }\n  admin:", 14, 3, "http_server.access_log"],
    [
      "ratelimit: { enabled: true, per_second: 10, burst: 20 }",
      "ratelimit: { burst: 200 }",
      7,
      7,
      `${forward}.ratelimit`,
    ],
    [
      "retry:\n        enabled: true",
      "retry:\n        attempts: 2",
      44,
      7,
      "upstream_groups[0].http_client.retry",
    ],
    ["proxy:\n        enabled: false", "proxy:", 46, 7, proxy],
    ["retry:\n        enabled: true", "retry:", 44, 7, "upstream_groups[0].http_client.retry"],
  ];
  test.each(switches)("%j replaced by %j is a warning and stays off", (from, to, line, column, path) => {
    const { warnings, plan } = loadValid(sampleWith([from, to]));
    const message = "found no key enabled, so the block stays off; add enabled: true or enabled: false";
    expect(warnings).toEqual([{ file: "/nowhere/config.yaml", line, column, path, message }]);
    const { client } = plan.groups[0]!;
    const block = path.endsWith("ratelimit")
      ? plan.forwards[0]!.ratelimit
      : path.endsWith("access_log")
        ? plan.accessLog
        : path === proxy
          ? client.proxyUrl
          : client.retry;
    expect(block).toBeNull();
  });

  test("a configuration without such a block has no warnings", () => {
    expect(loadValid(sampleWith(["enabled: true", "enabled: false"])).warnings).toEqual([]);
    expect(errorsOf(sampleWith(["enabled: true", "enabled: false"]))).toEqual([]);
  });
});
