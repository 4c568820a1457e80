import type { PeerOption } from "../arguments.ts";
import type { Launch, Place, Target } from "./target.ts";

/** A server that the user names by a shell command. */
export function command({ name, command: line }: PeerOption): Target {
  return {
    name,
    version: line,
    compiler: "unknown",
    launch: (place): Launch => ({ argv: ["/bin/sh", "-c", filledIn(line, place)], files: {} }),
  };
}

/** Puts ports and workers in place of `{port}`, `{upstream_port}` and `{workers}`; other braces stay. */
export function filledIn(line: string, { port, upstreamPort, workers }: Place): string {
  const values: Record<string, number> = { port, upstream_port: upstreamPort, workers };
  return line.replace(/\{(port|upstream_port|workers)\}/g, (_, name: string) => String(values[name]));
}
