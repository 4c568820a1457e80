import { closeSync, openSync } from "node:fs";

import type { TransportFailure } from "./transport.ts";

const OUT_OF_FILES: TransportFailure = { failed: "no_files", reach: "not-connected" };

/**
 * Tells apart an upstream that cannot be reached from a machine that has no files left to reach it: what a socket
 * that cannot be opened looks like differs by transport, and mostly like a refusal.
 */
export function withCause(failure: TransportFailure): TransportFailure {
  const { failed } = failure;
  if (failed !== "refused" && failed !== "connect" && failed !== "dns") return failure;
  return isOutOfFiles() ? OUT_OF_FILES : failure;
}

function isOutOfFiles(): boolean {
  try {
    closeSync(openSync("/", "r"));
    return false;
  } catch (error) {
    const { code } = error as { code?: unknown };
    return code === "EMFILE" || code === "ENFILE";
  }
}
