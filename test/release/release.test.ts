import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { LockFile } from "../../scripts/release/lock-file.ts";
import { fetchRuntime } from "../../scripts/release/runtimes.ts";
import { archiveName, hostTarget } from "../../scripts/release/targets.ts";

const root = join(import.meta.dir, "../..");
const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as LockFile;
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const directory = mkdtempSync(join(tmpdir(), "llmproxy-release-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const target = hostTarget();

/** Why no release can be made here; null when one can. What it is made of is fetched once. */
async function whyNoRelease(): Promise<string | null> {
  if (target === null) return "this machine is no target";
  const missing = ["git", "npm", "unzip", "sha256sum"].filter((program) => Bun.which(program) === null);
  if (missing.length > 0) return `there is no ${missing.join(", ")}`;
  try {
    await fetchRuntime(target.runtime, lock, join(root, "node_modules/.cache/llmproxyd-release"));
    return null;
  } catch (error) {
    if (error instanceof Error && error.message.includes("package-lock.json says")) throw error;
    return "the package registry cannot be reached";
  }
}
const reason = await whyNoRelease();
if (reason !== null) console.log(`release: not made, as ${reason}`);

/** Why the README's steps are not tried; null when they are. They name the archive for the most usual machine. */
const whyNoTrial = ((): string | null => {
  if (process.platform !== "linux" || process.arch !== "x64") return "they are for another machine";
  if (process.getuid?.() !== 0) return "this needs root";
  const missing = ["unshare", "ip", "curl"].filter((program) => Bun.which(program) === null);
  return missing.length > 0 ? `there is no ${missing.join(", ")}` : null;
})();
if (whyNoTrial !== null) console.log(`release: the README's steps are not tried, as ${whyNoTrial}`);

/** Makes the archive for this machine in a new directory; gives that, and what it said. */
async function release(name: string, env: Readonly<Record<string, string>>) {
  const output = join(directory, name);
  const { os, arch } = target!;
  const child = Bun.spawn(
    [process.execPath, join(root, "scripts/release.ts"), "--target", `${os}-${arch}`, "--output", output],
    { cwd: directory, env: { ...process.env, ...env }, stdout: "pipe", stderr: "pipe" },
  );
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { output, said: stdout + stderr, exitCode: await child.exited };
}

describe.skipIf(reason !== null)("a release for this machine", () => {
  test("holds all that is promised, runs, and has the same bytes when it is made again", async () => {
    const first = await release("first", { TZ: "Asia/Tokyo", LANG: "de_DE.UTF-8" });
    expect(first).toMatchObject({ exitCode: 0, said: expect.stringContaining("was unpacked and run") });
    const second = await release("second", { TZ: "America/Lima", LANG: "C" });
    expect(second.exitCode).toBe(0);

    const name = archiveName(target!, version);
    const files = [`llmproxyd-${version}.cdx.json`, `${name}.zip`, "SHA256SUMS"];
    expect(readdirSync(first.output).sort()).toEqual(files.sort());
    for (const file of files)
      expect(readFileSync(join(first.output, file)).equals(readFileSync(join(second.output, file)))).toBe(
        true,
      );
    const check = Bun.spawnSync(["sha256sum", "--check", "--strict", "SHA256SUMS"], { cwd: first.output });
    expect(check.stdout.toString()).toBe(`llmproxyd-${version}.cdx.json: OK\n${name}.zip: OK\n`);

    const unpacked = join(directory, "unpacked");
    expect(Bun.spawnSync(["unzip", "-q", join(first.output, `${name}.zip`), "-d", unpacked]).exitCode).toBe(
      0,
    );
    expect(readdirSync(unpacked)).toEqual([name]);
    const sources: Readonly<Record<string, string>> = {
      LICENSE: "LICENSE",
      "README.md": "README.md",
      "config.default.yaml": "config.default.yaml",
      "llmproxyd.service": "examples/systemd/llmproxyd.service",
    };
    const generated = ["THIRD-PARTY-NOTICES.md", "llmproxyd"];
    expect(readdirSync(join(unpacked, name)).sort()).toEqual([...Object.keys(sources), ...generated].sort());
    for (const [file, source] of Object.entries(sources))
      expect(readFileSync(join(unpacked, name, file)).equals(readFileSync(join(root, source)))).toBe(true);
  }, 180_000);

  test.skipIf(whyNoTrial !== null)(
    "does what the README promises a newcomer, line by line",
    async () => {
      const readme = readFileSync(join(root, "README.md"), "utf8");
      const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1]!);
      const steps = blocks.find((block) => block.includes("cp config.default.yaml config.yaml"))!;
      const log = join(directory, "newcomer.log");
      const untilReloaded = `until grep -q "configuration applied" "${log}"; do sleep 0.02; done`;
      // A network of its own: the usual ports are free there, and nobody else is reached.
      const script = `
        exec 2>"${log}"
        ip link set lo up
        "${process.execPath}" "${join(root, "test/support/upstream-process.ts")}" vllm 8000 >/dev/null & upstream=$!
        ${steps.replace(/^kill -HUP .*$/m, (line) => `${line}\n${untilReloaded}`)}
        kill "$upstream"`;
      const child = Bun.spawn(["unshare", "--net", "sh", "-e", "-c", script], {
        cwd: join(directory, "first"),
        env: { PATH: process.env["PATH"] ?? "" },
        stdout: "pipe",
      });
      const stdout = await child.stdout.text();
      const stderr = readFileSync(log, "utf8");
      expect({ exitCode: await child.exited, stderr }).toMatchObject({ exitCode: 0 });
      expect(stdout).toContain(`${archiveName(target!, version)}.zip: OK\n`);
      expect(stdout).toContain("config.yaml: valid\n");
      expect(stdout).toMatch(/^ok$/m);
      expect(stdout).toContain('"owned_by":"llmproxy-vllm"');
      expect(steps).toContain("\nkill -HUP ");
      expect(stderr).toContain(" draining signal=SIGTERM ");
    },
    60_000,
  );

  test("is not written over what is there", async () => {
    const { exitCode, said } = await release(".", {});
    expect({ exitCode, said }).toEqual({ exitCode: 2, said: `${directory} is there already\n` });
  });
});
