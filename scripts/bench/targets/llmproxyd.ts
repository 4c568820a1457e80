import { join } from "node:path";

import type { Setting } from "../arguments.ts";
import { type Launch, type Place, type Target, UPSTREAM_KEY } from "./target.ts";

/** Every key that is not named here has its default. */
export function configurationOf(place: Place, settings: readonly Setting[]): unknown {
  const { upstreams, forwards } = place.shape ?? { upstreams: 1, forwards: 1 };
  const names = Array.from({ length: upstreams }, (_, i) => `upstream-${i + 1}`);
  const configuration = {
    http_server: {
      forwards: Array.from({ length: forwards }, (_, i) => ({
        name: `forward-${i + 1}`,
        address: "127.0.0.1",
        // The load goes to the first; the others are there and idle.
        port: i === 0 ? place.port : 0,
        upstream_group: "group",
      })),
      admin: { address: "127.0.0.1", port: 0 },
    },
    upstreams: names.map((name) => ({
      name,
      url: `http://127.0.0.1:${place.upstreamPort}/v1`,
      auth: { type: "bearer", token: UPSTREAM_KEY },
      breaker: { threshold: 0.5 },
    })),
    upstream_groups: [{ name: "group", upstreams: names.map((name) => ({ name })) }],
  };
  for (const { path, value } of settings) setAt(configuration, path.split("."), value);
  return configuration;
}

/** Sets a key by its path; blocks that are missing on the way are made, and lists mean each of their items. */
function setAt(node: unknown, path: readonly string[], value: unknown): void {
  if (Array.isArray(node)) {
    for (const item of node) setAt(item, path, value);
    return;
  }
  if (typeof node !== "object" || node === null) throw new Error(`no such key: ${path.join(".")}`);
  const block = node as Record<string, unknown>;
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) block[key] = value;
  else setAt((block[key] ??= {}), rest, value);
}

export function llmproxyd(name: string, binary: string, settings: readonly Setting[]): Target {
  const asked = Bun.spawnSync([binary, "--version"]);
  return {
    name,
    version: asked.stdout.toString().trim(),
    compiler: "bun",
    launch(place: Place): Launch {
      const workers = place.shape?.workers ?? place.workers;
      return {
        argv: [binary, "--config", join(place.directory, "config.yaml"), "--workers", String(workers)],
        // JSON is YAML.
        files: { "config.yaml": JSON.stringify(configurationOf(place, settings), null, 2) },
      };
    },
  };
}
