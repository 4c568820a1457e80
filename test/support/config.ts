/** Keys of a configuration as the YAML file holds them. The binary under test judges them, not the type checker. */
export type Keys = Readonly<Record<string, unknown>>;

/** The ways to reach an upstream; what is promised holds for each. */
export const TRANSPORTS = [["socket"], ["fetch"]] as const;

/** A group of upstreams and the forward of the same name that leads to it. */
export interface GroupSetup {
  /** By name: a base URL, or all keys of the upstream. A name may stand in several groups. */
  readonly upstreams: Readonly<Record<string, string | Keys>>;
  readonly strategy?: string;
  /** Keys of `http_client`. */
  readonly client?: Keys;
  /** Further keys of the forward. */
  readonly forward?: Keys;
}

/**
 * A configuration with one forward for each group, all on free ports of the loopback address. `transport` is that
 * of all groups.
 */
export function configOf(groups: Readonly<Record<string, GroupSetup>>, transport = "auto"): Keys {
  const upstreams = new Map<string, Keys>();
  for (const group of Object.values(groups)) {
    for (const [name, setup] of Object.entries(group.upstreams))
      upstreams.set(name, { name, ...(typeof setup === "string" ? { url: setup } : setup) });
  }
  return {
    http_server: {
      forwards: Object.entries(groups).map(([name, { forward }]) => ({
        name,
        port: 0,
        address: "127.0.0.1",
        upstream_group: name,
        ...forward,
      })),
      admin: { port: 0, address: "127.0.0.1" },
    },
    upstreams: [...upstreams.values()],
    upstream_groups: Object.entries(groups).map(([name, { upstreams, strategy, client }]) => ({
      name,
      upstreams: Object.keys(upstreams).map((upstream) => ({ name: upstream })),
      balance: { strategy: strategy ?? "roundrobin" },
      http_client: { transport, ...client },
    })),
  };
}
