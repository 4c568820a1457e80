import { readdirSync, readFileSync } from "node:fs";

import type { AddSample } from "./board.ts";

const STARTED_S = performance.timeOrigin / 1000;

/**
 * Tells what Prometheus' own clients tell of their process, under the same names. Files are known on Linux only.
 * https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
 */
export function processSamples(add: AddSample): void {
  const { user, system } = process.cpuUsage();
  add("process_start_time_seconds", [], STARTED_S);
  add("process_cpu_seconds_total", [], (user + system) / 1e6);
  add("process_resident_memory_bytes", [], process.memoryUsage.rss());
  const open = openFiles();
  const max = openFilesMax();
  if (open !== null) add("process_open_fds", [], open);
  if (max !== null) add("process_max_fds", [], max);
}

function openFiles(): number | null {
  try {
    // Less the one that the listing itself takes.
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return null;
  }
}

function openFilesMax(): number | null {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
    return limit === undefined ? null : Number(limit);
  } catch {
    return null;
  }
}
