import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { runBinary } from "../support/binary.ts";
import { ask } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

let directory: string;
let upstream: DemoUpstream;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "llmproxy-env-"));
  chmodSync(directory, 0o755);
  upstream = startUpstream({ name: "demo" });
});
afterAll(() => {
  upstream.stop();
  rmSync(directory, { recursive: true, force: true });
});

const config = () =>
  configOf({
    main: { upstreams: { demo: { url: upstream.url, auth: { type: "bearer", token: "sk-secret-token" } } } },
  });

/** A directory of its own under the one of these tests, with some files. */
function directoryWith(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(directory, "cwd-"));
  chmodSync(path, 0o755);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

test("the binary works from an empty directory, and leaves it empty", async () => {
  const cwd = directoryWith({});
  await using proxy = await startProxy({ config: config(), cwd });
  expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
  await proxy.stop();
  expect(readdirSync(cwd)).toEqual([]);
});

test("files in the current directory that Bun would read have no effect", async () => {
  const cwd = directoryWith({
    ".env": "HTTP_PROXY=http://127.0.0.1:9\nBUN_CONFIG_MAX_HTTP_REQUESTS=1\n",
    "bunfig.toml": 'preload = ["./preload.ts"]\n',
    "preload.ts": 'console.error("preloaded"); process.exit(7);\n',
    "package.json": '{"type":"commonjs"}\n',
    "tsconfig.json": "{ this is not JSON\n",
  });
  await using proxy = await startProxy({ config: config(), cwd });
  expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
  expect(proxy.stderr).not.toContain("preloaded");
});

const mayBecomeNobody = process.getuid?.() === 0 && Bun.which("setpriv") !== null;
const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];

test.skipIf(!mayBecomeNobody)(
  "the binary works as a user that may write nowhere and read little",
  async () => {
    const cwd = directoryWith({});
    await using proxy = await startProxy({ config: config(), cwd, wrapper: asNobody });
    expect(readFileSync(`/proc/${proxy.pid}/status`, "latin1")).toMatch(/^Uid:\s+65534\s+65534/m);
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
  },
);

test.skipIf(!mayBecomeNobody)("what it may not read ends the start with one clear error", async () => {
  const token = { type: "bearer", token: "${file:key}" };
  const withKey = configOf({ main: { upstreams: { demo: { url: upstream.url, auth: token } } } });
  const cwd = directoryWith({ "config.json": JSON.stringify(withKey), "closed.yaml": "", key: "sk-secret" });
  for (const name of ["closed.yaml", "key"]) chmodSync(join(cwd, name), 0o000);
  const run = (file: string) => runBinary(["--config", file], { cwd, wrapper: asNobody });
  const closed = await run("closed.yaml");
  expect(closed.stderr).toBe("closed.yaml: permission denied\nllmproxyd: closed.yaml has 1 error\n");
  const withoutKey = await run("config.json");
  expect(withoutKey.stderr).toMatch(
    /^config\.json:\d+:\d+: upstreams\[0\]\.auth\.token: found \$\{file:key\}, .*/,
  );
  expect(withoutKey.stderr).toContain("permission denied\nllmproxyd: config.json has 1 error\n");
  expect([closed.exitCode, withoutKey.exitCode]).toEqual([1, 1]);
});

const mayUnmount = process.getuid?.() === 0 && Bun.spawnSync(["unshare", "--mount", "true"]).exitCode === 0;

test.skipIf(!mayUnmount)("the binary works on a read-only file system", async () => {
  await using proxy = await startProxy({
    config: config(),
    wrapper: [
      "unshare",
      "--mount",
      "sh",
      "-c",
      // What cannot be remounted is not a place for files.
      'for m in $(cut -d" " -f2 /proc/mounts); do mount -o remount,bind,ro "$m" 2>/dev/null; done; ! touch "$TMPDIR/x" 2>/dev/null && exec "$0" "$@"',
    ],
    env: { TMPDIR: tmpdir(), PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
});

describe("variables of the environment that steer Bun", () => {
  test("BUN_OPTIONS has no effect on the process that serves", async () => {
    const env = { BUN_OPTIONS: "--max-http-header-size=512" };
    await using proxy = await startProxy({ config: config(), env });
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
    const health = await fetch(`${proxy.adminUrl}/health`, { headers: { "X-Long": "x".repeat(2000) } });
    expect(health.status).toBe(200);
  });

  test("BUN_CONFIG_VERBOSE_FETCH prints no request, and thereby no key", async () => {
    await using proxy = await startProxy({ config: config(), env: { BUN_CONFIG_VERBOSE_FETCH: "curl" } });
    await ask(proxy.port(), "/v1/models");
    expect(proxy.stderr + proxy.stdout).not.toContain("sk-secret-token");
    expect(proxy.stdout).toBe("");
  });

  test("BUN_CONFIG_MAX_HTTP_REQUESTS does not limit the requests under way", async () => {
    upstream.script = "hang=before-head";
    await using proxy = await startProxy({
      config: config(),
      env: { BUN_CONFIG_MAX_HTTP_REQUESTS: "1" },
    });
    const aborter = new AbortController();
    const asked = Array.from({ length: 5 }, () =>
      fetch(`${proxy.url()}/v1/models`, { signal: aborter.signal }).catch(() => null),
    );
    await eventually("all are at the upstream", () => upstream.counts.inFlight === 5);
    aborter.abort();
    await Promise.all(asked);
    upstream.script = null;
  });

  test("BUN_INSPECT opens no debugger", async () => {
    await using proxy = await startProxy({ config: config(), env: { BUN_INSPECT: "127.0.0.1:0" } });
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
    expect(proxy.stderr).not.toMatch(/inspector|debug\.bun/i);
  });
});

test.skipIf(process.platform !== "linux")("the process has the settings of the allocator", async () => {
  await using proxy = await startProxy({
    config: config(),
    env: { MIMALLOC_PURGE_HOLES_MIN_INTERVAL: "1" },
  });
  const environment = readFileSync(`/proc/${proxy.pid}/environ`, "latin1").split("\0");
  expect(environment).toContain("MIMALLOC_PURGE_HOLES_MIN_INTERVAL=5000");
});

test("the process keeps its id over the start", async () => {
  await using proxy = await startProxy({ config: config() });
  const name = readFileSync(`/proc/${proxy.pid}/cmdline`, "latin1").split("\0")[0];
  expect(name).toContain("llmproxyd");
});
