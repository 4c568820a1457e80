import { describe, expect, test } from "bun:test";

import { type LoadResult } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { configShape, type ScalarShape, type Shape } from "../../src/config/schema-shape.ts";
import { load, loadValue, sampleWith, setAt, smallConfig } from "./sample.ts";

/** Everything that a loading says. */
function said(result: LoadResult): string {
  return (result.ok ? result.warnings : result.errors).map(formatProblem).join("\n");
}

function scalarsOf(shape: Shape, path: string): [path: string, shape: ScalarShape][] {
  if (shape.kind === "scalar") return [[path, shape]];
  if (shape.kind === "list") return scalarsOf(shape.item, `${path}[0]`);
  return [...shape.keys].flatMap(([key, child]) => scalarsOf(child, path === "" ? key : `${path}.${key}`));
}

/** A small configuration with lists where the paths expect them. */
function configWith(path: string, value: unknown): Record<string, unknown> {
  const config = smallConfig();
  if (path.includes("headers[0]")) setAt(config, "upstreams[0].headers", [{}]);
  setAt(config, path, value);
  return config;
}

const everyKey = scalarsOf(configShape, "");
const hiddenKeys = everyKey.filter(([, shape]) => shape.secrecy === "hidden").map(([path]) => path);

test("the keys that hold secrets are known, and every other text was judged to hold none", () => {
  const texts = everyKey.filter(([, shape]) => shape.type === "string" && shape.secrecy === "open");
  expect(texts.map(([path]) => path.replaceAll("[0]", "[]"))).toEqual([
    "http_server.forwards[].name",
    "http_server.forwards[].address",
    "http_server.forwards[].upstream_group",
    "http_server.forwards[].default_group",
    "http_server.forwards[].trusted_proxies[]",
    "http_server.admin.address",
    "http_server.access_log.path",
    "http_server.access_log.format",
    "upstreams[].name",
    "upstream_groups[].name",
    "upstream_groups[].upstreams[].name",
    "upstream_groups[].balance.strategy",
    "upstream_groups[].http_client.agent",
    "upstream_groups[].http_client.transport",
  ]);

  expect(hiddenKeys.map((path) => path.replaceAll("[0]", "[]"))).toEqual([
    "upstreams[].auth.token",
    "upstreams[].auth.username",
    "upstreams[].auth.password",
    "upstreams[].headers[].value",
    "upstream_groups[].http_client.proxy.url",
  ]);
});

describe("what comes from the environment is in no message", () => {
  // With characters that each of the keys refuses, and without.
  const canaries = [
    "canary",
    "canary\r\nX: canary",
    "http://canary:canary@canary/#canary",
    "canary:canary",
    " ",
  ];
  const references = ["${CANARY}", "a ${CANARY}", "${NOPE:-x}${CANARY}", "${CANARY}${NOPE}", "${CANARY"];

  test.each(everyKey)("at %s", (path) => {
    for (const canary of canaries) {
      for (const reference of references) {
        const text = said(loadValue(configWith(path, reference), { CANARY: canary }));
        expect(text).not.toContain("canary");
      }
    }
  });

  test("nor when it is a name that others refer to, or that is given twice", () => {
    const env = { CANARY: "canary", OTHER: "canary" };
    const texts = [
      sampleWith(["- name: alpha\n    url", "- name: ${CANARY}\n    url"]),
      sampleWith(
        ["- name: alpha\n    url", "- name: ${CANARY}\n    url"],
        ["- name: beta\n    url", "- name: ${OTHER}\n    url"],
      ),
      sampleWith(["name: main", "name: ${CANARY}"], ["name: side", "name: ${OTHER}"]),
      sampleWith(["- name: pool", "- name: ${CANARY}"]),
    ];
    for (const text of texts) {
      const result = load(text, env);
      expect(result.ok).toBe(false);
      expect(said(result)).not.toContain("canary");
    }
  });

  test("nor in suggestions: a near miss from the environment gets none", () => {
    const text = said(load(sampleWith(["strategy: random", "strategy: ${S}"]), { S: "ramdom" }));
    expect(text).toContain("found ${S}, expected one of");
    expect(text).not.toContain("did you mean");
  });
});

describe("what stands in a key for secrets is in no message", () => {
  const values = [
    "canary\n",
    "canary:canary",
    "socks://canary",
    "http://canary:canary@h/canary",
    "${NOPE:-canary\n}",
    "${NOPE}canary",
    "canary${",
    "${canary canary}",
    ["canary"],
    { canary_key: "canary" },
    [["canary"]],
  ];
  test.each(hiddenKeys)("at %s", (path) => {
    for (const value of values) {
      for (const type of ["bearer", "basic", "none", "other"]) {
        const config = configWith(path, value);
        if (!path.includes("proxy")) setAt(config, "upstreams[0].auth.type", type);
        else setAt(config, "upstream_groups[0].http_client.proxy.enabled", true);
        expect(said(loadValue(config)).replace("canary_key", "")).not.toContain("canary");
      }
    }
  });

  const urls = [
    "ftp://canary:canary@h",
    "http://h/#canary",
    "h?key=canary",
    "http://canary@h/#x",
    "http://canary:%zz@h",
    "canary@h",
    "https:/canary:canary@h",
    "http://h /?canary",
    "http://[canary@",
  ];
  test.each(urls)("in the URL %j", (url) => {
    const result = loadValue(configWith("upstreams[0].url", url));
    expect(result.ok).toBe(false);
    expect(said(result)).not.toContain("canary");
  });

  test("in a URL that is right beside auth that is there too", () => {
    const text = said(load(sampleWith(["https://alpha", "https://canary:canary@alpha"])));
    expect(text).toContain("upstreams[0].url: found a value that is not shown");
    expect(text).not.toContain("canary");
  });

  test("in a block of the wrong kind, such as one line where a mapping belongs", () => {
    const blocks: [path: string, value: unknown][] = [
      ["upstreams[0].auth", "Bearer canary"],
      ["upstreams[0].auth", ["canary"]],
      ["upstreams[0].headers", "Authorization: canary"],
      ["upstreams[0].headers", { Authorization: "canary" }],
      ["upstreams[0].headers", ["Authorization: canary", ["canary"]]],
      ["upstreams[0].tokn", "canary"],
      ["upstreams[0].auth.tokn", "canary"],
      ["upstream_groups[0].http_client.proxy", "http://canary:canary@h"],
      ["upstreams[0]", "canary"],
      ["upstreams", "canary"],
    ];
    for (const [path, value] of blocks) {
      const result = loadValue(configWith(path, value));
      expect(result.ok).toBe(false);
      expect(said(result)).not.toContain("canary");
    }
  });

  const misplaced = [
    "Bearer canary",
    "canary-1",
    "Authorization: canary",
    "http://canary:canary@h",
    "canary=",
  ];
  test.each(everyKey)(
    "in the wrong key, beside the right one or as a whole URL or header: %s",
    (path, shape) => {
      const isBeside = shape.secrecy === "beside";
      for (const value of isBeside
        ? misplaced
        : ["Bearer canary", "basic canary", "https://h/?canary", "ws://canary@h"])
        expect(said(loadValue(configWith(path, value)))).not.toContain("canary");
    },
  );

  test("but a mere slip beside it is shown", () => {
    const text = said(load(sampleWith(["type: bearer", "type: bearr"])));
    expect(text).toContain('found "bearr", expected one of bearer, basic, none (did you mean "bearer"?)');
  });

  test("in a key that swallowed its value for want of a space", () => {
    const text = said(
      load(sampleWith(["auth:\n      type: bearer\n      token: sk-literal", "auth: {token:canary}"])),
    );
    expect(text).toContain('upstreams[0].auth["token..."]: found the unknown key "token..."');
    expect(text).toContain("(a space is missing behind the colon)");
    expect(text).not.toContain("canary");
  });
});

describe("what gets to another key by an accident of YAML is in no message", () => {
  test("a secret that an alias repeats", () => {
    const secrets: [from: string, to: string][] = [
      ["token: sk-literal", "token: &a canary"],
      ["value: extra", "value: &a canary"],
      ["token: sk-literal", "tokn: &a canary"],
      ["url: https://alpha.example/v1", "url: &a https://alpha.example/?canary"],
    ];
    for (const secret of secrets) {
      const text = said(load(sampleWith(secret, ["strategy: random", "strategy: *a"])));
      expect(text).toContain("balance.strategy: found a value that is not shown, expected one of");
    }
  });

  test("a line below a value, which is part of it where its key is missing, or behind a bar", () => {
    for (const type of [
      "type: bearer\n        canary",
      "type: |\n        token: canary",
      'type: "bearer\n        canary"',
    ]) {
      const text = said(load(sampleWith(["type: bearer\n      token: sk-literal", type])));
      expect(text).toContain("upstreams[0].auth.type: found a value that is not shown, expected one of");
    }
  });

  test("a URL that stands at a key for something else", () => {
    for (const url of ["http://canary:canary@h", "a http://h/?canary"]) {
      const text = said(load(sampleWith(["strategy: random", `strategy: ${url}`])));
      expect(text).toContain("balance.strategy: found a value that is not shown, expected one of");
    }
  });
});
