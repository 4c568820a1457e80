import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expandedCharsMax, secretBytesMax, SecretExpander } from "../../src/config/secrets.ts";
import { loadValid, sampleWith } from "./sample.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "llmproxyd-secrets-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const env = { KEY: "k1", EMPTY: "", TRICKY: "${KEY} $${ ${file:/x}", BIG: "x".repeat(100_000) };
const forms = "${NAME}, ${NAME:-default} or ${file:/path}; write $${ for a literal ${";

function expand(text: string) {
  return new SecretExpander({ env, directory }).expand(text);
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

describe("references to the environment", () => {
  const values: [text: string, value: string, expanded: boolean][] = [
    ["plain", "plain", false],
    ["${KEY}", "k1", true],
    ["a${KEY}b${KEY}c", "ak1bk1c", true],
    ["${EMPTY}", "", true],
    ["${KEY:-other}", "k1", true],
    ["${NOPE:-other}", "other", true],
    ["${EMPTY:-other}", "other", true],
    ["${NOPE:-}", "", true],
    ["${NOPE:-a:-b ${c}", "a:-b ${c", true],
    ["${NOPE:-two\nlines}", "two\nlines", true],
    ["$${KEY}", "${KEY}", false],
    ["$$${KEY}", "$${KEY}", false],
    ["$${KEY} ${KEY}", "${KEY} k1", true],
    ["$KEY $ $$ {KEY} }", "$KEY $ $$ {KEY} }", false],
    ["${TRICKY}", "${KEY} $${ ${file:/x}", true],
  ];
  test.each(values)("%j gives %j", (text, value, expanded) => {
    expect(expand(text)).toEqual({ ok: true, value, expanded });
  });

  test("an unset variable is an error that names it", () => {
    const reason = "the environment variable NOPE to be set";
    expect(expand("a ${KEY} ${NOPE} b")).toEqual({ ok: false, reference: "${NOPE}", reason });
  });

  test("what objects inherit is not set", () => {
    for (const name of ["constructor", "__proto__", "toString"]) {
      expect(expand(`\${${name}}`)).toMatchObject({ ok: false, reference: `\${${name}}` });
    }
  });

  const malformed = [
    "${",
    "${}",
    "${KEY",
    "${1A}",
    "${A-B}",
    "${KEY:=x}",
    "${KEY:?x}",
    "${ KEY }",
    "${file:}",
    "a ${:-x}",
  ];
  test.each(malformed)("%j is no reference", (text) => {
    expect(expand(text)).toEqual({ ok: false, reference: null, reason: forms });
  });
});

describe("references to files", () => {
  const contents: [content: string, value: string][] = [
    ["secret", "secret"],
    ["secret\n", "secret"],
    ["secret\r\n", "secret"],
    ["secret\n\n", "secret\n"],
    [" a b ", " a b "],
    ["", ""],
    ["\ufeff\u00e9\n", "\u00e9"],
    ["${KEY}", "${KEY}"],
  ];
  test.each(contents)("a file with %j gives %j", (content, value) => {
    const path = file("content", content);
    expect(expand(`\${file:${path}}`)).toEqual({ ok: true, value, expanded: true });
  });

  test("a relative path starts at the directory of the configuration", () => {
    mkdirSync(join(directory, "sub"), { recursive: true });
    file("sub/token", "t1");
    expect(expand("<${file:sub/token}|${file:./sub/../sub/token}>")).toEqual({
      ok: true,
      value: "<t1|t1>",
      expanded: true,
    });
  });

  test("a link to a file is followed, as with mounted secrets", () => {
    symlinkSync(file("real", "t2\n"), join(directory, "linked"));
    expect(expand("${file:linked}")).toMatchObject({ value: "t2" });
  });

  test("a file of exactly 64 KB is read, a larger one refused", () => {
    file("exact", "x".repeat(secretBytesMax));
    file("over", "x".repeat(secretBytesMax + 1));
    expect(expand("${file:exact}")).toMatchObject({ ok: true });
    expectUnreadable("over", "it is larger than the limit of 64 KB");
  });

  test("what cannot be read is an error that says why", () => {
    expectUnreadable("missing", "no such file");
    mkdirSync(join(directory, "folder"));
    expectUnreadable("folder", "it is a directory");
    file("binary", new Uint8Array([97, 0, 98]));
    expectUnreadable("binary", "it is a binary file (it holds a NUL byte)");
    file("latin", new Uint8Array([0xe9]));
    expectUnreadable("latin", "it is a binary file (it is not valid UTF-8)");
    expect(Bun.spawnSync(["mkfifo", join(directory, "pipe")]).exitCode).toBe(0);
    expectUnreadable("pipe", "it is not a regular file");
    expectUnreadable("/dev/zero", "it is not a regular file");
  });

  test.skipIf(process.getuid?.() === 0)("a file without permission is an error", () => {
    chmodSync(file("locked", "x"), 0o000);
    expectUnreadable("locked", "permission denied");
  });

  test("a file that the system gives no size for is read to its end", () => {
    expect(expand("${file:/proc/self/comm}")).toMatchObject({ ok: true, expanded: true });
    const result = expand("${file:/proc/self/comm}");
    expect(result.ok && result.value.length).toBeGreaterThan(0);
  });

  function expectUnreadable(path: string, why: string): void {
    const reason = `a readable file of at most 64 KB: ${why}`;
    expect(expand(`\${file:${path}}`)).toEqual({ ok: false, reference: `\${file:${path}}`, reason });
  }
});

test("references bring in a bounded amount of text, however often they are repeated", () => {
  const expander = new SecretExpander({ env, directory });
  const text = "${BIG}".repeat(Math.floor(expandedCharsMax / env.BIG.length));
  expect(expander.expand(text)).toMatchObject({ ok: true });
  const reason = "references that bring in at most 4 MB together";
  expect(expander.expand("${BIG}")).toEqual({ ok: false, reference: "${BIG}", reason });
});

describe("references in a configuration", () => {
  test("numbers and switches may come from the environment, and only from there as text", () => {
    const text = sampleWith(
      ["port: 3000", "port: ${PORT}"],
      ["max_body_size: 64MB", "max_body_size: ${SIZE}"],
      ["threshold: 0.5", "threshold: ${RATE}"],
      ["stream: true", "stream: ${STREAM}"],
      ["weight: 2", "weight: ${WEIGHT:-5}"],
    );
    const { config } = loadValid(text, { PORT: "4000", SIZE: "65536", RATE: "0.25", STREAM: "false" });
    expect(config.http_server.forwards[0]).toMatchObject({ port: 4000, max_body_size: 65536 });
    expect(config.upstreams[0]?.breaker?.threshold).toBe(0.25);
    expect(config.upstream_groups[0]).toMatchObject({
      upstreams: [{ weight: 5 }, {}],
      http_client: { stream: false },
    });
  });

  test("a value that consists of digits stays text where text is expected", () => {
    const { config } = loadValid(sampleWith(["token: sk-literal", "token: ${TOKEN}"]), { TOKEN: "12345" });
    expect(config.upstreams[0]?.auth.token).toBe("12345");
  });

  test("names, references and URLs may hold references", () => {
    const text = sampleWith(
      ["- name: pool", "- name: ${POOL}"],
      ["upstream_group: pool\n      ratelimit", "upstream_group: po${O}l\n      ratelimit"],
      ["url: http://127.0.0.1:8000", "url: http://${HOST}:${PORT}/v1"],
    );
    const { plan } = loadValid(text, { POOL: "pool", O: "o", HOST: "vllm.local", PORT: "8001" });
    expect(plan.forwards[0]?.group).toBe(0);
    expect(plan.upstreams[1]?.url).toBe("http://vllm.local:8001/v1");
  });

  test("$${ is a literal ${ in a configuration too", () => {
    const { plan } = loadValid(sampleWith(["token: sk-literal", "token: sk-$${x}"]));
    expect(plan.upstreams[0]?.authorization).toBe("Bearer sk-${x}");
  });
});
