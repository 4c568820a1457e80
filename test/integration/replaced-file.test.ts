import { expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { startUpstream } from "../../src/demo/upstream.ts";
import { binary } from "../support/binary.ts";
import { ask } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { LineLog } from "../support/line-log.ts";
import { unusedPort } from "../support/ports.ts";
import { eventually } from "../support/wait.ts";

test("SIGUSR2 starts the file that has taken the executable's place, and changes nothing while there is none", async () => {
  const directory = mkdtempSync(join(tmpdir(), "llmproxy-replaced-"));
  const file = join(directory, "llmproxyd");
  copyFileSync(binary, file);
  copyFileSync(binary, `${file}.new`);
  const upstream = startUpstream({ name: "demo" });
  const port = unusedPort();
  const config = configOf({ main: { upstreams: { demo: upstream.url }, forward: { port } } });
  writeFileSync(join(directory, "config.yaml"), JSON.stringify(config));
  const child = Bun.spawn([file, "--workers", "1"], {
    cwd: directory,
    env: {},
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const log = new LineLog(child.stderr);
  let successor: number | null = null;
  try {
    await log.until((text) => text.includes(" listening admin=true "));
    rmSync(file);
    child.kill("SIGUSR2");
    await log.until((text) => text.includes(" the successor does not serve, so this process goes on "));
    expect((await ask(port, "/v1/models")).status).toBe(200);

    renameSync(`${file}.new`, file);
    child.kill("SIGUSR2");
    await log.until((text) => text.includes(" draining signal=SIGUSR2 "));
    successor = Number(/ a successor is started successor=(\d+)/.exec(log.text)![1]);
    expect(await child.exited).toBe(0);
    expect((await ask(port, "/v1/models")).status).toBe(200);
    process.kill(successor, "SIGTERM");
    await eventually("the successor ends", () => !isAlive(successor!));
    successor = null;
  } finally {
    child.kill("SIGKILL");
    if (successor !== null && isAlive(successor)) process.kill(successor, "SIGKILL");
    rmSync(directory, { recursive: true, force: true });
    upstream.stop();
  }
}, 30_000);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
