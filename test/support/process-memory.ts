import { readdirSync, readFileSync } from "node:fs";

/** Whether the memory and the threads of another process can be read here. */
export const canReadMemory = process.platform === "linux";

/** Memory of a process that is in RAM, in bytes. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kilobytes === undefined) throw new Error(`process ${pid} has no memory`);
  return Number(kilobytes) * 1024;
}

export function threadNames(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((id) =>
    readFileSync(`/proc/${pid}/task/${id}/comm`, "latin1").trimEnd(),
  );
}
