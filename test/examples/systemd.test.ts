import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { parseCommandLine } from "../../src/cli.ts";
import { loadConfig } from "../../src/config/load.ts";
import { binary } from "../support/binary.ts";

const path = join(import.meta.dir, "../../examples/systemd/llmproxyd.service");
const text = readFileSync(path, "utf8");
const directory = mkdtempSync(join(tmpdir(), "llmproxy-unit-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** All values of a key that may stand several times. */
function valuesOf(key: string): string[] {
  return [...text.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map((match) => match[1]!);
}

/** The last value of a key; later ones replace earlier ones. */
function valueOf(key: string): string | undefined {
  return valuesOf(key).at(-1);
}

describe("the unit", () => {
  test("starts llmproxyd with a command line that it takes, and leaves it time to drain", () => {
    const [program, ...args] = valueOf("ExecStart")!.split(" ");
    expect(program).toBe("/usr/local/bin/llmproxyd");
    const command = parseCommandLine(args);
    if (command.kind !== "run") throw new Error(JSON.stringify(command));
    expect(command.options.configFile).toBe("/etc/llmproxyd/config.yaml");
    expect(Number(valueOf("TimeoutStopSec")) * 1000).toBeGreaterThan(command.options.shutdownTimeoutMs);
  });

  test("waits for readiness, watches and starts again what crashed", () => {
    const keys = ["Type", "NotifyAccess", "WatchdogSec", "Restart", "LimitNOFILE"];
    expect(Object.fromEntries(keys.map((key) => [key, valueOf(key)]))).toEqual({
      Type: "notify",
      NotifyAccess: "main",
      WatchdogSec: "30",
      Restart: "on-failure",
      LimitNOFILE: "65536",
    });
  });

  test("reloads by SIGHUP, and by nothing that would need the secrets: only ExecStart is given them", () => {
    expect(valuesOf("ExecReload")).toEqual(["/bin/kill -HUP $MAINPID"]);
  });

  test("never writes its memory, which holds the secrets, to a file", () => {
    expect(valueOf("LimitCORE")).toBe("0");
  });

  test("lets JavaScript be compiled, and lets it speak to systemd", () => {
    expect(valueOf("MemoryDenyWriteExecute")).toBeUndefined();
    expect(valueOf("RestrictAddressFamilies")!.split(" ")).toContain("AF_UNIX");
  });

  test("shows how a secret gets from a credential into the configuration", () => {
    const reference = /\$\{file:(\/run\/credentials\/llmproxyd\.service\/(\w+))\}/.exec(text)!;
    expect(text).toContain(`\n#LoadCredential=${reference[2]}:`);
  });
});

test("a reference within a reference is refused, so the credential's path is written out", () => {
  const file = join(directory, "nested.yaml");
  writeFileSync(
    file,
    "upstreams: [{ name: a, url: http://a, auth: { token: '${file:${CREDENTIALS_DIRECTORY}/x}' } }]",
  );
  const loaded = loadConfig(file, { CREDENTIALS_DIRECTORY: directory });
  expect(loaded.ok).toBe(false);
});

const tool = Bun.which("systemd-analyze");
if (tool === null) console.log("systemd unit: not analysed, as there is no systemd-analyze");

describe.skipIf(tool === null)("systemd-analyze", () => {
  test("verify finds nothing to complain of", () => {
    const unit = join(directory, "llmproxyd.service");
    // It wants the program to be there.
    writeFileSync(unit, text.replaceAll("/usr/local/bin/llmproxyd", binary));
    const { exitCode, stderr } = Bun.spawnSync([tool!, "verify", "--man=no", unit]);
    expect(stderr.toString()).toBe("");
    expect(exitCode).toBe(0);
  });

  test("security gives an exposure below 3", () => {
    const { stdout } = Bun.spawnSync([tool!, "security", "--offline=true", path]);
    const exposure = /Overall exposure level for llmproxyd\.service: ([\d.]+)/.exec(stdout.toString())?.[1];
    expect(Number(exposure)).toBeLessThan(3);
  });
});
