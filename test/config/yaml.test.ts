import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { formatProblem } from "../../src/config/problem.ts";
import { errorsOf, expectErrorAtMark, load, loadValid, sampleWith, sampleYaml } from "./sample.ts";

// Far more than the hostile files take: a machine under load is no reason to fail.
setDefaultTimeout(60_000);

describe("a syntax error is one error at its place", () => {
  const cases: [what: string, text: string, message: string][] = [
    ["a tab", "a:\n«\tb: 1", "a tab is used for indentation, expected spaces"],
    ["a tab that a key is before", "a:\n  b:\n«\t- c: 1", "a tab is used for indentation, expected spaces"],
    ["a tab behind spaces", "a:\n  b: 1\n  «\tc: 2", "a tab is used for indentation, expected spaces"],
    ["an indentation", "a:\n  b: 1\n« c: 2", "all mapping items must start at the same column"],
    ["a quote", "a: 'b\nc: 1\n«", "missing closing ' quote (it begins on line 1)"],
    ["a double quote", 'a:\n  - "b\n\n  - c\n«', 'missing closing " quote (it begins on line 2)'],
    [
      "a bracket",
      "a: [1,\n«b: 1",
      "flow sequence in block collection must be sufficiently indented and end with a ] (it begins on line 1)",
    ],
    [
      "a second colon",
      "a: «b: c",
      "a second `key: value` on one line (a value that contains `: ` needs quotes)",
    ],
    ["a missing colon", "a: 1\n«b\n", "implicit map keys need to be followed by map values"],
    [
      "an escape",
      'a: "«\\q"',
      "an invalid escape in a double-quoted value (use single quotes for a literal backslash)",
    ],
    ["a reserved character", "a: «@b", "a value that begins with this character needs quotes"],
    ["a tag", "a: «!custom b", "an unknown tag (!); a value that begins with ! needs quotes"],
    ["a YAML 1.1 tag", "a: «!!binary aGk=", "an unknown tag (!); a value that begins with ! needs quotes"],
    ["a directive", "«%NOPE x\n---\na: 1", "an unknown or malformed % directive"],
    ["a key that is a list", "? «[a, b]\n: c", "a key must be a plain word"],
    ["a second document", "a: 1\n«---\nb: 2", "the file holds several documents (---), expected one"],
  ];
  test.each(cases)("%s", (_, text, message) => {
    expectErrorAtMark(text, "", `YAML: ${message}`);
  });

  test("no syntax error repeats the text around it", () => {
    const texts = [
      "token: *sk-canary",
      "token: &sk-canary",
      "token: !sk-canary x",
      "token: @sk-canary",
      "token: `sk-canary",
      'token: "sk-canary\\q"',
      "token: sk-a: sk-canary",
      "token: 'sk-canary",
      "token: [sk-canary",
      "{token:sk-canary",
      "token sk-canary: x",
      "token: |sk-canary\n x",
      "- sk-canary\ntoken: x",
      "token: sk-canary\n sk-canary\n- sk-canary",
      "%sk-canary\n",
      "token: 'x' sk-canary",
      "*sk-canary : x",
      "? [sk-canary]",
      "sk-canary",
      "http_server: sk-canary",
      "{token:sk-canary}",
      "http_server: {token:sk-canary}",
    ];
    for (const text of texts) {
      const printed = errorsOf(text).map(formatProblem);
      expect(printed).not.toBeEmpty();
      expect(printed.join("\n")).not.toContain("canary");
    }
  });
});

describe("a top level that is not a mapping is one error", () => {
  const tops: [text: string, found: string][] = [
    ["just words", "a string"],
    ["port:3000", "a string"],
    ["- a\n- b", "a list"],
    ["42", "a number"],
    ["true", "a boolean"],
    ["${HOME}", "a string"],
  ];
  test.each(tops)("%j", (text, found) => {
    expectErrorAtMark(`«${text}`, "", `found ${found}, expected a mapping (keys with values)`);
  });
});

describe("YAML 1.2", () => {
  test("on, off, yes and no are text", () => {
    for (const word of ["on", "off", "yes", "no", "y", "n"]) {
      const { config } = loadValid(sampleWith(["name: side", `name: ${word}`]));
      expect(config.http_server.forwards[1]?.name).toBe(word);
    }
  });

  test("a %YAML 1.1 directive does not bring its rules back", () => {
    const { config } = loadValid(`%YAML 1.1\n---\n${sampleWith(["name: side", "name: yes"])}`);
    expect(config.http_server.forwards[1]?.name).toBe("yes");
  });

  test("numbers may be written in hex, octal or with an exponent", () => {
    for (const number of ["0xBB9", "0o5671", "3.001e3", "+3001"]) {
      const { config } = loadValid(sampleWith(["port: 3001", `port: ${number}`]));
      expect(config.http_server.forwards[1]?.port).toBe(3001);
    }
  });

  test("blocks with nothing in them are empty, as if they were left out", () => {
    const text = sampleWith(
      ["\n        connect: 5", ""],
      ["auth:\n      type: bearer\n      token: sk-literal", "auth:"],
      ["headers:\n      - op: insert\n        key: X-Extra\n        value: extra", "headers:"],
      ["breaker:\n      threshold: 0.5", "breaker:"],
    );
    const { config } = loadValid(text);
    expect(config.http_server.forwards[0]?.timeout.connect).toBe(10);
    expect(config.upstreams[0]).toMatchObject({
      auth: { type: "none" },
      headers: [],
      breaker: { threshold: 0.5 },
    });
  });
});

describe("anchors and aliases", () => {
  test("an alias stands for the last anchor of its name before it", () => {
    const text = sampleWith(
      ["connect: 5", "connect: &s 6"],
      ["port: 9000", "port: 9000\n    timeout: { connect: *s }"],
      ["connect: 7", "connect: &s 8"],
      ["stream: true", "keepalive: *s\n      stream: true"],
    );
    const { config } = loadValid(text);
    expect(config.http_server.admin.timeout.connect).toBe(6);
    expect(config.upstream_groups[0]?.http_client.keepalive).toBe(6);
  });

  test("repeating a block by an alias does not bring the anchors in it back", () => {
    const text = sampleWith(
      ["breaker:\n      threshold: 0.5", "breaker: &b { cooldown: &c 40 }"],
      ["http://127.0.0.1:8000", "http://127.0.0.1:8000\n    breaker: { window: &c 50 }"],
      ["upstream_groups:", "  - { name: gamma, url: http://g, breaker: *b }\nupstream_groups:"],
      ["stream: true", "stream: true\n      keepalive: *c"],
    );
    const { config } = loadValid(text);
    expect(config.upstreams[2]?.breaker?.cooldown).toBe(40);
    expect(config.upstream_groups[0]?.http_client.keepalive).toBe(50);
  });

  test("an error in a value that an alias repeats is at the value", () => {
    const text = sampleWith(
      ["breaker:\n      threshold: 0.5", "breaker: &b\n      threshold: «7"],
      ["url: http://127.0.0.1:8000", "url: http://127.0.0.1:8000\n    breaker: *b"],
    );
    const errors = errorsOf(text.replace("«", ""));
    expect(errors.map(({ path, line }) => [path, line])).toEqual([
      ["upstreams[0].breaker.threshold", 28],
      ["upstreams[1].breaker.threshold", 28],
    ]);
  });

  test("an alias without an anchor, or inside its own anchor, is an error", () => {
    const hint = "(a value that begins with * needs quotes)";
    const message = `found an alias without an anchor before it ${hint}`;
    expectErrorAtMark(
      sampleWith(["threshold: 0.5", "threshold: «*x"]),
      "upstreams[0].breaker.threshold",
      message,
    );
    expectErrorAtMark(
      sampleWith(["breaker:\n      threshold: 0.5", "breaker: &x\n      threshold: «*x"]),
      "upstreams[0].breaker.threshold",
      `found an alias for something that it is part of ${hint}`,
    );
  });
});

describe("hostile files end soon, with one error", () => {
  test("a bomb of nested aliases", () => {
    const letters = "abcdefghij".split("");
    const lines = letters.map((letter, i) => {
      const items = i === 0 ? Array(10).fill("lol") : Array(10).fill(`*${letters[i - 1]}`);
      return `${letter}: &${letter} [${items.join(", ")}]`;
    });
    const errors = errorsOf(lines.join("\n"));
    expect(errors.map((error) => error.message)).toEqual(["aliases repeat more than 10000 values"]);
    expect(errors[0]?.line).toBe(1);
  });

  test("many aliases of one long list", () => {
    const text = `a: &a [${"x,".repeat(1000)}]\nb:\n${"  - *a\n".repeat(1000)}`;
    expect(errorsOf(text).map((error) => error.message)).toEqual(["aliases repeat more than 10000 values"]);
  });

  test("a name of nothing but the beginnings of URLs", () => {
    const errors = errorsOf(sampleWith(["name: main", `name: "${"://".repeat(300_000)}"`]));
    expect(errors.map((error) => error.path)).toEqual(["http_server.forwards[0].name"]);
  });

  test("long runs of blanks and slashes in values that are repeated by aliases", () => {
    const repeated = (count: number, item: (i: number) => string) =>
      Array.from({ length: count }, (_, i) => item(i)).join("");
    const header = (i: number) =>
      `      - { op: insert, key: H, value: ${i === 0 ? `&h "a${" ".repeat(16_000)}b"` : "*h"} }\n`;
    const upstream = (i: number) =>
      `  - name: u${i}\n    url: ${i === 0 ? `&u http://u/a${"/".repeat(8_000)}b` : "*u"}\n`;
    const text = sampleWith(
      ["      - op: insert\n        key: X-Extra\n        value: extra\n", repeated(1_000, header)],
      ["upstream_groups:\n", `${repeated(1_000, upstream)}upstream_groups:\n`],
    );
    expect(loadValid(text).plan.upstreams).toHaveLength(1_002);
  });

  test("brackets that are not closed cost little more than closed ones", () => {
    const levels = 2000;
    const open = "{a: ".repeat(levels);
    const costOf = (text: string) => {
      const costs = [1, 2, 3].map(() => {
        const startedMs = performance.now();
        load(text);
        return performance.now() - startedMs;
      });
      return Math.min(...costs);
    };
    expect(costOf(open)).toBeLessThan(15 * costOf(open + "}".repeat(levels)));
  });

  test("collections nested a hundred and a hundred thousand levels deep", () => {
    const nested = (levels: number) => `a: ${"[".repeat(levels)}${"]".repeat(levels)}`;
    expect(errorsOf(nested(100)).map((error) => error.message)).toEqual(["nested deeper than 64 levels"]);
    expect(errorsOf(nested(100_000)).map((error) => error.message)).toEqual([
      "YAML: it is nested too deeply",
    ]);
  });

  test("twenty thousand different keys in one mapping", () => {
    const text = Array.from({ length: 20_000 }, (_, i) => `k${i}: 1\n`).join("");
    expect(errorsOf(sampleYaml + text)).toHaveLength(1001);
  });

  test("a tenth of a million characters of nothing but closing brackets", () => {
    const errors = errorsOf("]".repeat(100_000));
    expect(errors).toHaveLength(1);
    expect(errors[0]?.message).toStartWith("YAML: unexpected text");
  });
});
