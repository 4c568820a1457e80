import type { HealthOptions } from "../cli.ts";
import { configBytesMax, type Environment, parseConfig } from "../config/load.ts";
import { readTextFile } from "../config/read-file.ts";
import { isMapping } from "../config/tree.ts";
import { parseYaml } from "../config/yaml.ts";
import { ipVersion } from "../shared/ip-address.ts";

const DEFAULT_URL = "http://127.0.0.1:9000/health";
const TIME_LIMIT_MS = 3_000;
const ANSWER_BYTES_MAX = 65_536;

/** An address to ask, or why there is none. */
export type HealthUrl =
  { readonly ok: true; readonly url: URL } | { readonly ok: false; readonly reason: string };

/** The answer's status, or why there was none. */
export type HealthAnswer =
  { readonly ok: true; readonly status: number } | { readonly ok: false; readonly reason: string };

/**
 * `llmproxyd health`: asks a running llmproxyd whether it serves, for probes that can only run a program. Gives
 * the exit code, 0 when it serves; else 1, and standard error says why.
 */
export async function health(options: HealthOptions, env: Environment): Promise<number> {
  const target = healthUrl(options, env);
  if (!target.ok) return unhealthy(target.reason);
  const answer = await ask(target.url);
  // Without its query: who asks through a gateway may have a key in it.
  const asked = target.url.origin + target.url.pathname;
  if (!answer.ok) return unhealthy(`${asked}: ${answer.reason}`);
  if (answer.status !== 200) return unhealthy(`${asked}: status ${answer.status}`);
  process.stdout.write("ok\n");
  return 0;
}

function unhealthy(reason: string): number {
  process.stderr.write(`llmproxyd: ${reason}\n`);
  return 1;
}

/** Where to ask: the given URL, else the admin listener of the given configuration, else the usual place. */
export function healthUrl({ url, configFile }: HealthOptions, env: Environment): HealthUrl {
  if (url !== null) return givenUrl(url);
  return configFile === null ? { ok: true, url: new URL(DEFAULT_URL) } : configuredUrl(configFile, env);
}

/** A URL without a path means `/health`. */
function givenUrl(text: string): HealthUrl {
  const url = URL.parse(text);
  if (url === null || url.protocol !== "http:" || url.username !== "" || url.password !== "")
    return { ok: false, reason: "the address to ask must be a plain URL such as http://127.0.0.1:9000" };
  if (url.pathname === "/") url.pathname = "/health";
  return { ok: true, url };
}

/**
 * Only the admin listener's keys are read: a probe must not fail because a secret of an upstream is kept from it.
 * Around them stands the smallest valid configuration, so that they are judged, and filled with defaults, as always.
 */
function configuredUrl(file: string, env: Environment): HealthUrl {
  const read = readTextFile(file, configBytesMax);
  if (!read.ok) return { ok: false, reason: `${file}: ${read.reason}` };
  const keys = adminKeys(read.text);
  if (keys === null) return { ok: false, reason: `${file}: it cannot be understood, see llmproxyd --test` };
  const config = {
    http_server: { forwards: [{ name: "probe", port: 0, upstream_group: "probe" }], admin: keys.admin },
    upstreams: [{ name: "probe", url: "http://127.0.0.1" }],
    upstream_groups: [{ name: "probe", upstreams: [{ name: "probe" }] }],
  };
  const loaded = parseConfig(JSON.stringify(config), file, env);
  if (!loaded.ok) {
    const first = loaded.errors[0]!;
    return { ok: false, reason: `${file}: ${first.path}: ${first.message}` };
  }
  const { address, port } = loaded.plan.admin;
  if (port === 0) return { ok: false, reason: `${file}: the admin port is any free one, so give the URL` };
  return { ok: true, url: new URL(`http://${reachable(address)}:${port}/health`) };
}

/** The block `http_server.admin` as it stands in a YAML text; null when the text is none. */
function adminKeys(text: string): { readonly admin: unknown } | null {
  const yaml = parseYaml(text);
  if (!yaml.ok) return null;
  try {
    const tree: unknown = yaml.document.toJS();
    const server = isMapping(tree) ? tree["http_server"] : null;
    return { admin: (isMapping(server) ? server["admin"] : null) ?? {} };
  } catch {
    // Aliases that lead nowhere or that multiply beyond all bounds.
    return null;
  }
}

/** The host to ask for a listener: one that takes every address is there on the loopback address too. */
function reachable(address: string): string {
  if (/^[0:]+$/.test(address)) return "[::1]";
  if (ipVersion(address) === 6) return `[${address}]`;
  return address === "0.0.0.0" ? "127.0.0.1" : address;
}

/**
 * One GET by hand, HTTP/1.0 so that the connection's end is the answer's: what the environment says of outbound
 * proxies must not lead a question to this machine elsewhere.
 */
async function ask(url: URL): Promise<HealthAnswer> {
  const { promise, resolve } = Promise.withResolvers<HealthAnswer>();
  const timer = setTimeout(resolve, TIME_LIMIT_MS, {
    ok: false,
    reason: `no answer within ${TIME_LIMIT_MS / 1000} s`,
  });
  let head = "";
  const end = () => resolve(statusOf(head));
  const failed = (error: unknown) => resolve({ ok: false, reason: reasonOf(error) });
  const connecting = Bun.connect({
    hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || 80),
    socket: {
      open(socket) {
        socket.write(`GET ${url.pathname}${url.search} HTTP/1.0\r\nHost: ${url.host}\r\n\r\n`);
      },
      data(_, bytes) {
        head += bytes.toString("latin1");
        if (head.includes("\r\n") || head.length > ANSWER_BYTES_MAX) end();
      },
      close: end,
      error: (_, error) => failed(error),
    },
  });
  connecting.catch(failed);
  const answer = await promise;
  clearTimeout(timer);
  return answer;
}

/** https://www.rfc-editor.org/rfc/rfc9112#section-4 */
function statusOf(head: string): HealthAnswer {
  const status = /^HTTP\/1\.[01] ([1-5][0-9]{2})(?: |\r)/.exec(head)?.[1];
  if (status !== undefined) return { ok: true, status: Number(status) };
  return { ok: false, reason: head === "" ? "the connection was closed" : "it does not speak HTTP/1.1" };
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ECONNREFUSED") return "nothing listens there";
  return code === "" ? "no connection" : code;
}
