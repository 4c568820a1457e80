import { spawn } from "node:child_process";
import { closeSync, writeSync } from "node:fs";

import { log } from "../observe/log.ts";
import { commandLine } from "./environment.ts";

/** Names the descriptor on which a successor says that it serves. */
const READY_FD = "LLMPROXYD_READY_FD";
const FIRST_FREE_FD = 3;

/**
 * Starts the executable, which may be a newer one by now, once more, with the same arguments. Settles with its pid when
 * it serves, or with null when it ends before that, which is logged. Both listen on the same ports meanwhile.
 */
export function startSuccessor(): Promise<number | null> {
  return new Promise((resolve) => {
    const [file, ...args] = commandLine();
    const child = spawn(file!, args, {
      stdio: ["ignore", "inherit", "inherit", "pipe"],
      env: { ...process.env, [READY_FD]: String(FIRST_FREE_FD) },
    });
    child.once("error", (error) => fail(error.message));
    child.once("exit", (code, signal) => fail(`it ended with ${code ?? signal}`));
    // Where it could not be started there is neither of them; the error follows.
    if (child.pid !== undefined) log("info", "a successor is started", { successor: child.pid });
    child.stdio[FIRST_FREE_FD]?.once("data", () => resolve(child.pid ?? null));
    const fail = (reason: string) => {
      log("error", "the successor does not serve, so this process goes on", { reason });
      resolve(null);
    };
    child.unref();
  });
}

/** Tells the predecessor, if there is one, that this process serves. Called once, when it does. */
export function tellPredecessor(): void {
  const fd = Number(process.env[READY_FD]);
  delete process.env[READY_FD];
  if (!Number.isInteger(fd) || fd < FIRST_FREE_FD) return;
  try {
    writeSync(fd, "ready");
    closeSync(fd);
  } catch {
    // It is gone: then there is nobody to be told.
  }
}
