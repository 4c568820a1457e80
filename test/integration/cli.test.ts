import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { version } from "../../package.json";
import { runBinary } from "../support/binary.ts";
import { configOf, type Keys } from "../support/config.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "llmproxy-cli-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Writes a configuration and gives its path. */
function written(name: string, config: Keys | string): string {
  const file = join(directory, name);
  writeFileSync(file, typeof config === "string" ? config : JSON.stringify(config, null, 2));
  return file;
}

test.each([["--version"], ["-V"]])("%s prints version, commit and the version of Bun", async (flag) => {
  const { exitCode, stdout, stderr } = await runBinary([flag]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^llmproxyd \S+ \([0-9a-z]+, Bun \d+\.\d+\.\d+\)\n$/);
  expect(stdout).toContain(version);
  expect(stderr).toBe("");
});

test.each([["--help"], ["-h"]])("%s names every option", async (flag) => {
  const { exitCode, stdout } = await runBinary([flag]);
  expect(exitCode).toBe(0);
  for (const option of [
    "-c, --config",
    "-t, --test",
    "-d, --debug",
    "--shutdown-timeout",
    "--workers",
    "--demo",
    "-V, --version",
    "-h, --help",
  ])
    expect(stdout).toContain(option);
});

test.each([
  [["--no-such-option"]],
  [["--workers", "none"]],
  [["--shutdown-timeout", "0"]],
  [["--config"]],
  [["config.yaml"]],
  [["-x"]],
])("a wrong command line (%j) exits with 2 and the usage", async (args) => {
  const { exitCode, stdout, stderr } = await runBinary(args);
  expect(exitCode).toBe(2);
  expect(stderr).toContain("Usage: llmproxyd");
  expect(stdout).toBe("");
});

describe("--test", () => {
  test("tells where each forward leads, without credentials, and exits with 0", async () => {
    const file = written(
      "good.yaml",
      configOf({
        chat: {
          upstreams: {
            openai: { url: "https://api.openai.com/v1", auth: { type: "bearer", token: "sk-secret" } },
            local: { url: "http://user:hidden@10.0.0.1:8000/v1?key=also-secret" },
          },
          strategy: "failover",
        },
      }),
    );
    const { exitCode, stdout, stderr } = await runBinary(["--test", "--config", file]);
    expect([exitCode, stderr]).toEqual([0, ""]);
    for (const part of [
      "chat",
      "failover",
      "https://api.openai.com/v1/chat/completions",
      "http://10.0.0.1:8000/v1/",
    ])
      expect(stdout).toContain(part);
    expect(stdout).not.toMatch(/sk-secret|hidden|also-secret/);
  });

  test("reports all errors at once, each with its place, and exits with 1", async () => {
    const file = written(
      "bad.yaml",
      "http_server:\n  forwards:\n    - name: a\n      prot: 3000\n      upstream_group: nowhere\nupstreams: []\nupstream_groups: []\n",
    );
    const { exitCode, stdout, stderr } = await runBinary(["-t", "-c", file]);
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(`${file}:4:7`);
    expect(stderr).toContain('did you mean "port"');
    expect(stderr).toContain("nowhere");
    expect(stderr.trim().split("\n").length).toBeGreaterThanOrEqual(4);
  });
});

test.each([
  ["is missing", null],
  ["is empty", ""],
  ["is binary", "\x00\x01\x02\xff"],
  ["is no mapping", "- a\n- b\n"],
  ["names an environment variable that is not set", "http_server: ${NO_SUCH_VARIABLE}\n"],
  ["is too large", "#".repeat(10 * 1024 * 1024)],
  [
    "grows without bound",
    `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e]\n`,
  ],
])("a configuration that %s ends the start with an error and 1", async (name, text) => {
  const file = text === null ? join(directory, "none.yaml") : written(`${name}.yaml`, text);
  const { exitCode, stdout, stderr } = await runBinary(["--config", file]);
  expect([exitCode, stdout]).toEqual([1, ""]);
  expect(stderr).toContain(file);
  // For people: no stack of ours.
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stderr.length).toBeLessThan(5000);
});
