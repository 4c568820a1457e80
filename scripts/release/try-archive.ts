import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { $ } from "bun";

const START_LIMIT_MS = 10_000;

/**
 * Unpacks an archive for this machine and uses what is in it as a newcomer would: asks for the version, checks
 * the sample configuration, starts it, asks for its health, stops it. Throws, with what it wrote, when
 * anything is not as it should be. `directory`: the one in the archive. Needs `unzip`.
 */
export async function tryArchive(archive: string, directory: string, version: string): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), "llmproxyd-release-"));
  try {
    await $`unzip -q ${archive} -d ${place}`.quiet();
    await tryUnpacked(join(place, directory), version);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

async function tryUnpacked(directory: string, version: string): Promise<void> {
  const binary = join(directory, "llmproxyd");
  const run = (...args: string[]) => $`${binary} ${args}`.cwd(directory).env({}).text();
  const shown = await run("--version");
  if (!shown.startsWith(`llmproxyd ${version} (`)) throw new Error(`--version gives ${shown}`);
  await run("--test", "--config", "config.default.yaml");
  const config = {
    http_server: {
      forwards: [{ name: "trial", address: "127.0.0.1", port: 0, upstream_group: "trial" }],
      admin: { address: "127.0.0.1", port: 0 },
    },
    upstreams: [{ name: "none", url: "http://127.0.0.1:9" }],
    upstream_groups: [{ name: "trial", upstreams: [{ name: "none" }] }],
  };
  await Bun.write(join(directory, "trial.yaml"), JSON.stringify(config));
  const child = Bun.spawn([binary, "--config", "trial.yaml"], {
    cwd: directory,
    env: {},
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(join(directory, "trial.log")),
  });
  try {
    const adminPort = await adminPortIn(join(directory, "trial.log"), child);
    await run("health", `http://127.0.0.1:${adminPort}`);
  } finally {
    child.kill("SIGTERM");
  }
  const exitCode = await child.exited;
  if (exitCode !== 0) throw new Error(`it ended with ${exitCode} when it was told to stop`);
}

/** Waits for the line of the log that tells where the admin listener is. */
async function adminPortIn(log: string, child: Bun.Subprocess): Promise<number> {
  const endMs = performance.now() + START_LIMIT_MS;
  for (;;) {
    const text = await Bun.file(log).text();
    const port = / listening admin=true address=\S+ port=(\d+)/.exec(text)?.[1];
    if (port !== undefined) return Number(port);
    if (child.exitCode !== null || performance.now() > endMs) throw new Error(`it does not start:\n${text}`);
    await Bun.sleep(10);
  }
}
