import { join } from "node:path";

import { type Launch, type Place, type Target, UPSTREAM_KEY } from "./target.ts";

/**
 * Does what llmproxyd does by default: credentials replaced, upstream connections kept, nothing held back. Without
 * the ratios it would close idle upstream connections once a quarter of its few descriptors is in use.
 */
export function haproxyConfiguration({ port, upstreamPort, workers, connections }: Place): string {
  return `global
  nbthread ${workers}
  maxconn ${connections + 64}
  tune.pool-low-fd-ratio 90
  tune.pool-high-fd-ratio 100
defaults
  mode http
  timeout connect 10s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
  option http-no-delay
  http-reuse always
frontend bench
  bind 127.0.0.1:${port} backlog 4096
  http-request set-header Authorization "Bearer ${UPSTREAM_KEY}"
  default_backend upstream
backend upstream
  server one 127.0.0.1:${upstreamPort} pool-purge-delay 60s
`;
}

/** Gives null when HAProxy is not installed. */
export function haproxy(): Target | null {
  const binary = Bun.which("haproxy", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin` });
  if (binary === null) return null;
  return {
    name: "haproxy",
    version: Bun.spawnSync([binary, "-v"]).stdout.toString().split("\n")[0]?.trim() ?? "",
    compiler: "none",
    launch: (place): Launch => ({
      argv: [binary, "-db", "-f", join(place.directory, "haproxy.cfg")],
      files: { "haproxy.cfg": haproxyConfiguration(place) },
    }),
  };
}
