import { existsSync, readFileSync } from "node:fs";

/** A line of the access log as JSON. */
export type AccessLine = Record<string, unknown> & { readonly request_id: string };

/** All lines of an access log; none when there is no file yet. Throws when one of them is not whole. */
export function readAccessLog(path: string): AccessLine[] {
  return read(path, false);
}

/** The whole lines of an access log that is being written to: who reads meanwhile may see a part of the last one. */
export function readGrowingAccessLog(path: string): AccessLine[] {
  return read(path, true);
}

function read(path: string, isGrowing: boolean): AccessLine[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "latin1").split("\n");
  if (lines.pop() !== "" && !isGrowing) throw new Error("the last line has no end");
  return lines.map((line) => {
    try {
      return JSON.parse(line) as AccessLine;
    } catch {
      throw new Error(`not a line of JSON: ${line}`);
    }
  });
}

/** The configuration with an access log. */
export function withAccessLog(
  config: Readonly<Record<string, unknown>>,
  keys: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const server = config["http_server"] as Record<string, unknown>;
  return { ...config, http_server: { ...server, access_log: { enabled: true, ...keys } } };
}
