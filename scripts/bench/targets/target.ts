/** The credentials that a proxy must put in place of the client's; the upstream answers others with 401. */
export const UPSTREAM_KEY = "upstream-key";
export const CLIENT_KEY = "client-key";

/** How many of what llmproxyd has; for the growth of its cost. */
export interface Shape {
  readonly upstreams: number;
  readonly forwards: number;
  /** null = as many as all servers have. */
  readonly workers: number | null;
}

/** Where a server is to run: ports of the loopback address and an empty directory of its own. */
export interface Place {
  readonly port: number;
  readonly upstreamPort: number;
  readonly directory: string;
  readonly workers: number;
  /** Client connections that must fit at the same time. */
  readonly connections: number;
  readonly shape: Shape | null;
}

/** A command, and the files that must be in its directory first. */
export interface Launch {
  readonly argv: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}

/** Something to send the load to. */
export interface Target {
  readonly name: string;
  readonly version: string;
  /** Whether it is slow at first because it has a just-in-time compiler: that of Bun, none, or who knows. */
  readonly compiler: "none" | "bun" | "unknown";
  /** Gives null where the load goes straight to the upstream. */
  launch(place: Place): Launch | null;
}

/** No proxy: what upstream, load and kernel take by themselves. */
export const direct: Target = { name: "direct", version: "", compiler: "none", launch: () => null };
