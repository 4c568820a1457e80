/** A configuration whose values are right one by one, as it is in the file. */
export interface PlainConfig {
  readonly http_server: { readonly forwards: readonly Keys[]; readonly admin?: Keys };
  readonly upstreams: readonly Keys[];
  readonly upstream_groups: readonly Keys[];
}

// oxlint-disable-next-line typescript/no-explicit-any
type Keys = any;

/** The rules between keys, read one after the other. Gives those that are broken. */
export function brokenRules({
  http_server: server,
  upstreams,
  upstream_groups: groups,
}: PlainConfig): string[] {
  const { forwards } = server;
  const broken: string[] = [];
  const rule = (text: string, holds: boolean) => {
    if (!holds) broken.push(text);
  };
  const names = (items: readonly Keys[]) => items.map(({ name }) => name);
  for (const items of [forwards, upstreams, groups, ...groups.map((group) => group.upstreams)])
    rule("names are unique", new Set(names(items)).size === items.length);
  for (const group of groups)
    for (const { name } of group.upstreams) rule("members exist", names(upstreams).includes(name));

  for (const { upstream_group: group, default_group: older, ratelimit = {} } of forwards) {
    const wanted = [group, older].filter((name) => name !== undefined);
    rule("a forward has one group", new Set(wanted).size === 1);
    for (const name of wanted) rule("groups exist", names(groups).includes(name));
    rule("burst >= per_second", (ratelimit.burst ?? 200) >= (ratelimit.per_second ?? 100));
  }
  const listeners = [
    ...forwards.map((forward) => listener(forward, 3000)),
    listener(server.admin ?? {}, 9000),
  ];
  listeners.forEach((a, i) => {
    for (const b of listeners.slice(0, i)) rule("listeners are apart", !overlap(a, b));
  });

  for (const { url, auth = {}, headers = [] } of upstreams) {
    if (auth.type === "bearer") rule("bearer needs a token", (auth.token ?? "").trim() !== "");
    if (auth.type === "basic")
      rule("basic needs both", (auth.username ?? "") !== "" && (auth.password ?? "") !== "");
    if (auth.type === "bearer" || auth.type === "basic") rule("one authentication", !url.includes("@"));
    for (const { op, key, value } of headers) {
      if (op !== "remove") rule("a value is needed", value !== undefined);
      if (key.toLowerCase() !== "host") continue;
      rule("Host is replaced only", op === "replace");
      if (op === "replace") rule("Host is a host", /^[a-z.]+(:\d+)?$/.test(value ?? ""));
    }
  }
  for (const { http_client: client } of groups) {
    if (client?.proxy?.enabled !== true) continue;
    rule("a proxy has a URL", (client.proxy.url ?? "") !== "");
    rule("sockets know no proxy", client.transport !== "socket");
  }
  return broken;
}

const SAME: Readonly<Record<string, string>> = { "0:0:0:0:0:0:0:1": "::1", "::ffff:127.0.0.1": "127.0.0.1" };

function listener({ port, address = "0.0.0.0" }: Keys, defaultPort: number) {
  return { port: port ?? defaultPort, address: SAME[address] ?? address };
}

function overlap(a: ReturnType<typeof listener>, b: ReturnType<typeof listener>): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const takes = (one: string, other: string) =>
    one === other || one === "::" || (one === "0.0.0.0" && !other.includes(":"));
  return takes(a.address, b.address) || takes(b.address, a.address);
}
