import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** Where and with what the numbers were taken. */
export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly bun: string;
  /** Load average of the last minute, before anything was measured. */
  readonly load: number;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cpus: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: `${process.platform} ${release()} ${process.arch}`,
    bun: Bun.version,
    load: loadavg()[0] ?? 0,
  };
}

/** Share of the CPUs that were busy before the start from which on results deserve doubt. */
const BUSY = 0.25;

/** What a reader must know about the machine; one line each. */
export function machineWarnings({ cpus: count, load }: Machine): string[] {
  const warnings: string[] = [];
  if (load > BUSY * count) {
    warnings.push(
      `The machine is busy with other things (load average ${load.toFixed(1)} on ${count} CPUs): trust ratios only.`,
    );
  }
  const files = openFilesMax();
  if (files < 12_000) warnings.push(`Only ${files} open files are allowed: 5,000 streams will not fit.`);
  return warnings;
}

/** The hard limit; the tools raise the soft one. */
function openFilesMax(): number {
  const limits = readFileSync("/proc/self/limits", "latin1");
  const hard = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return hard === undefined || hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard);
}
