/** A letter names a scenario; `cases.ts` says what each one measures. */
export const scenarioIds = ["a", "b", "c", "d", "e", "f", "g", "h"] as const;
export type ScenarioId = (typeof scenarioIds)[number];

/** How the cost grows takes long, and only concerns llmproxyd: it is measured when it is asked for. */
const SCENARIOS_DEFAULT: readonly ScenarioId[] = ["a", "b", "c", "d", "e", "f", "g"];
const COMPARED_DEFAULT: readonly ScenarioId[] = ["a", "c"];
const ROUNDS_DEFAULT = 3;
/** Two processes of one build differ by as much as what is looked for. */
const ROUNDS_COMPARED = 5;
const ROUNDS_QUICK = 1;
const ROUNDS_QUICK_COMPARED = 3;
const TRANSPORTS = ["auto", "fetch", "socket"];

/** One configuration key by its path (`http_server.forwards.timeout.connect`), and its value. */
export interface Setting {
  readonly path: string;
  readonly value: unknown;
}

/** Another server to measure: a shell command with `{port}`, `{upstream_port}` and `{workers}` in it. */
export interface PeerOption {
  readonly name: string;
  readonly command: string;
}

/** llmproxyd once more, with some settings changed. */
export interface VariantOption {
  readonly name: string;
  readonly settings: readonly Setting[];
}

export interface BenchOptions {
  readonly scenarios: readonly ScenarioId[];
  readonly quick: boolean;
  readonly rounds: number;
  /** Threads or processes of every server; null = one per CPU. */
  readonly workers: number | null;
  /** Changes to the configuration of llmproxyd; `--transport` is one of them. */
  readonly settings: readonly Setting[];
  readonly variants: readonly VariantOption[];
  readonly peers: readonly PeerOption[];
  /** File for the results, or null. */
  readonly json: string | null;
  /** An executable to measure in place of one built from this tree. */
  readonly binary: string | null;
  /** A git revision to measure beside this tree, in place of the peers. */
  readonly compare: string | null;
  /** With `compare`: the ratio of CPU from which the exit code is 1. */
  readonly limit: number | null;
}

export type BenchCommand =
  | { readonly kind: "run"; readonly options: BenchOptions }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "usage-error"; readonly text: string };

export const usage = `Usage: npm run bench -- [options]

Measures llmproxyd beside nginx, HAProxy and a direct run, on this machine, over loopback.

  --quick                 one short round: under two minutes
  --scenario LETTERS      of a,b,c,d,e,f,g,h (default: all but h; with --compare: a,c)
                            a  small JSON completions, 32 and 256 connections, closed loop
                            b  small JSON completions, 5,000 requests/s, open loop
                            c  event streams of 50 tokens/s, 200 and 1,000 of them
                            d  5,000 slow event streams: memory per stream
                            e  request bodies of 1 MB
                            f  cold start, idle memory
                            g  policies and primitives, in nanoseconds
                            h  how the cost grows: upstreams, forwards, workers, bodies
  --rounds N              rounds of every measurement, 1-100 (default: ${ROUNDS_DEFAULT}, with --compare ${ROUNDS_COMPARED};
                          with --quick ${ROUNDS_QUICK} and ${ROUNDS_QUICK_COMPARED})
  --workers N             threads or processes of every server, 1-64 (default: one per CPU)
  --peer NAME=COMMAND     another server; {port}, {upstream_port} and {workers} in the command are
                          filled in. It must replace the client's credentials by "Bearer upstream-key"
  --transport NAME        auto, fetch or socket: upstream_groups.http_client.transport of llmproxyd
  --set PATH=VALUE        any other key of llmproxyd's configuration; a list on the path means all of it
  --variant NAME:PATH=VALUE[,PATH=VALUE]
                          llmproxyd once more, with these keys changed
  --json FILE             write all results there
  --binary FILE           measure this llmproxyd in place of building one
  --compare REVISION      measure this tree against another revision, in place of the peers
  --limit RATIO           with --compare: exit with 1 when CPU grew to more than this ratio
  -h, --help              print this text and exit
`;

interface Draft {
  scenarios: readonly ScenarioId[] | null;
  quick: boolean;
  rounds: number | null;
  workers: number | null;
  settings: Setting[];
  variants: VariantOption[];
  peers: PeerOption[];
  json: string | null;
  binary: string | null;
  compare: string | null;
  limit: number | null;
}

/** Reads the arguments. Options take `--name VALUE` or `--name=VALUE`. Pure. */
export function parseArguments(args: readonly string[]): BenchCommand {
  const draft: Draft = {
    scenarios: null,
    quick: false,
    rounds: null,
    workers: null,
    settings: [],
    variants: [],
    peers: [],
    json: null,
    binary: null,
    compare: null,
    limit: null,
  };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "-h" || arg === "--help") return { kind: "help", text: usage };
    if (arg === "--quick") {
      draft.quick = true;
      continue;
    }
    const mark = arg.indexOf("=");
    const name = mark < 0 ? arg : arg.slice(0, mark);
    const read = READERS[name];
    if (read === undefined) return usageError(`unknown option "${name}"`);
    const value = mark < 0 ? args[++i] : arg.slice(mark + 1);
    if (value === undefined || value === "") return usageError(`${name} needs a value`);
    const error = read(draft, value);
    if (error !== null) return usageError(`${name}: found "${value}", expected ${error}`);
  }
  if (draft.limit !== null && draft.compare === null) return usageError("--limit needs --compare");
  return { kind: "run", options: completed(draft) };
}

function completed(draft: Draft): BenchOptions {
  const compared = draft.compare !== null;
  return {
    ...draft,
    scenarios: draft.scenarios ?? (compared ? COMPARED_DEFAULT : SCENARIOS_DEFAULT),
    rounds: draft.rounds ?? roundsOf(draft.quick, compared),
  };
}

function roundsOf(quick: boolean, compared: boolean): number {
  if (!quick) return compared ? ROUNDS_COMPARED : ROUNDS_DEFAULT;
  return compared ? ROUNDS_QUICK_COMPARED : ROUNDS_QUICK;
}

function usageError(message: string): BenchCommand {
  return { kind: "usage-error", text: `bench: ${message}\n\n${usage}` };
}

/** Puts the value of an option into the draft. Gives what was expected when it does not fit, else null. */
type Reader = (draft: Draft, value: string) => string | null;

const READERS: Readonly<Record<string, Reader>> = {
  "--scenario": (draft, value) => {
    const letters = value.split(",");
    const known = scenarioIds.filter((id) => letters.includes(id));
    if (known.length !== new Set(letters).size) return `letters of ${scenarioIds.join(",")}`;
    draft.scenarios = known;
    return null;
  },
  "--rounds": (draft, value) => {
    draft.rounds = integerIn(value, 1, 100);
    return draft.rounds === null ? "an integer from 1 to 100" : null;
  },
  "--workers": (draft, value) => {
    draft.workers = integerIn(value, 1, 64);
    return draft.workers === null ? "an integer from 1 to 64" : null;
  },
  "--peer": (draft, value) => {
    const match = /^([\w.-]+)=(.+)$/s.exec(value);
    if (match === null) return "NAME=COMMAND";
    draft.peers.push({ name: match[1]!, command: match[2]! });
    return null;
  },
  "--transport": (draft, value) => {
    if (!TRANSPORTS.includes(value)) return `one of ${TRANSPORTS.join(", ")}`;
    draft.settings.push({ path: "upstream_groups.http_client.transport", value });
    return null;
  },
  "--set": (draft, value) => {
    const setting = readSetting(value);
    if (setting === null) return "PATH=VALUE";
    draft.settings.push(setting);
    return null;
  },
  "--variant": (draft, value) => {
    const mark = value.indexOf(":");
    const settings = value
      .slice(mark + 1)
      .split(",")
      .map(readSetting);
    if (mark < 1 || settings.includes(null)) return "NAME:PATH=VALUE[,PATH=VALUE]";
    draft.variants.push({ name: value.slice(0, mark), settings: settings.filter((it) => it !== null) });
    return null;
  },
  "--json": (draft, value) => {
    draft.json = value;
    return null;
  },
  "--binary": (draft, value) => {
    draft.binary = value;
    return null;
  },
  "--compare": (draft, value) => {
    draft.compare = value;
    // It is handed to git, where a dash would make it an option.
    return value.startsWith("-") ? "a git revision" : null;
  },
  "--limit": (draft, value) => {
    const ratio = Number(value);
    draft.limit = ratio;
    return ratio > 0 && ratio < 100 ? null : "a ratio such as 1.05";
  },
};

function integerIn(text: string, min: number, max: number): number | null {
  const value = Number(text);
  return /^\d{1,6}$/.test(text) && value >= min && value <= max ? value : null;
}

/** Values are JSON where they read as such (numbers, true, false), else text. */
function readSetting(text: string): Setting | null {
  const match = /^\s*([\w.]+)=(.*)$/s.exec(text);
  if (match === null) return null;
  try {
    return { path: match[1]!, value: JSON.parse(match[2]!) };
  } catch {
    return { path: match[1]!, value: match[2]! };
  }
}
