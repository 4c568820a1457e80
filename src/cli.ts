import { quote } from "./config/problem.ts";
import { nearest } from "./config/suggest.ts";

/** What the command line asks for. `usage-error` is for stderr and exit code 2; its text ends with the usage. */
export type CommandLine =
  | { readonly kind: "run"; readonly options: RunOptions }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "version" }
  | { readonly kind: "health"; readonly options: HealthOptions }
  | { readonly kind: "usage-error"; readonly text: string };

export interface RunOptions {
  readonly configFile: string;
  /** Validate the configuration, say where it leads, and end. */
  readonly test: boolean;
  readonly debug: boolean;
  /** How long new connections are still accepted after a signal to stop. */
  readonly shutdownDelayMs: number;
  /** How long requests in progress may go on after that. */
  readonly shutdownTimeoutMs: number;
  /** Number of worker threads; null = as many as suit the machine. */
  readonly workers: number | null;
  /** Read the configuration again when its file changes. */
  readonly watch: boolean;
  /** Serve scripted upstreams in this process instead of configured ones. */
  readonly demo: boolean;
}

/** Whom `llmproxyd health` asks; the admin listener's usual address when both are null. */
export interface HealthOptions {
  /** Of the llmproxyd to ask. */
  readonly configFile: string | null;
  readonly url: string | null;
}

/** Text of `--help`; every option is in it. */
export const usage = `Usage: llmproxyd [options]
       llmproxyd health [--config FILE | URL]

A load balancer for large-language-model APIs.

Options:
  -c, --config FILE               configuration file (default: config.yaml)
  -t, --test                      check the configuration, show where each forward leads,
                                  and exit with 0 (valid) or 1 (not valid)
  -d, --debug                     log in detail
  -w, --watch                     read the configuration again whenever its file, or a file that
                                  it names by \${file:...}, has changed
      --shutdown-timeout SECONDS  time for requests in progress to end after SIGTERM or SIGINT,
                                  1-120 (default: 30); another signal cuts them
      --shutdown-delay SECONDS    go on accepting for so long before, with /health at 503, so that
                                  whoever sends clients here can notice, 0-60 (default: 0)
      --workers N                 worker threads, 1-64 (default: one per CPU on Linux,
                                  one elsewhere)
      --demo                      serve three scripted upstreams on this machine; needs no
                                  configuration, no key and no network
  -V, --version                   print the version and exit
  -h, --help                      print this text and exit

Signals: SIGHUP reads the configuration again; SIGTERM and SIGINT finish what is in progress and
end (a second one ends at once); SIGUSR1 opens the access log again; SIGUSR2 starts the executable
anew and ends when that serves.

llmproxyd health asks a running llmproxyd whether it serves, and exits with 0 (it does) or 1. It
asks the admin listener of FILE, or URL, or http://127.0.0.1:9000.
`;

const shutdownTimeoutSecondsDefault = 30;

type Name =
  | "config"
  | "test"
  | "debug"
  | "watch"
  | "shutdown-timeout"
  | "shutdown-delay"
  | "workers"
  | "demo"
  | "version"
  | "help";

interface Option {
  readonly name: Name;
  readonly short: string | null;
  /** How the usage calls its value; null = it takes none. */
  readonly value: string | null;
}

const options: readonly Option[] = [
  { name: "config", short: "c", value: "FILE" },
  { name: "test", short: "t", value: null },
  { name: "debug", short: "d", value: null },
  { name: "watch", short: "w", value: null },
  { name: "shutdown-timeout", short: null, value: "SECONDS" },
  { name: "shutdown-delay", short: null, value: "SECONDS" },
  { name: "workers", short: null, value: "N" },
  { name: "demo", short: null, value: null },
  { name: "version", short: "V", value: null },
  { name: "help", short: "h", value: null },
];

/** One option as it was given; `value` is null where it takes none. */
interface Given {
  readonly option: Option;
  readonly value: string | null;
}

/**
 * Reads the arguments behind the program's name. `--config=FILE`, `--config FILE`, `-c FILE`, `-cFILE` and
 * combined short options (`-dt`) are understood; of an option given twice the last one counts. The first of
 * `--help`, `--version` and an error decides. Pure: prints nothing, reads nothing.
 */
export function parseCommandLine(args: readonly string[]): CommandLine {
  if (args[0] === "health") return parseHealth(args.slice(1));
  let run: RunOptions = {
    configFile: "config.yaml",
    test: false,
    debug: false,
    watch: false,
    shutdownDelayMs: 0,
    shutdownTimeoutMs: shutdownTimeoutSecondsDefault * 1000,
    workers: null,
    demo: false,
  };
  let configIsGiven = false;
  for (const given of readOptions(args)) {
    if (typeof given === "string") return usageError(given);
    if (given.option.name === "help") return { kind: "help", text: usage };
    if (given.option.name === "version") return { kind: "version" };
    if (given.option.name === "config") configIsGiven = true;
    const next = apply(run, given);
    if (typeof next === "string") return usageError(next);
    run = next;
  }
  if (run.demo && configIsGiven)
    return usageError("--demo has a configuration of its own: leave out --config");
  if (run.demo && run.watch) return usageError("--demo has no file to watch: leave out --watch");
  return { kind: "run", options: run };
}

/** What stands behind `health`: `--config FILE` or one URL. */
function parseHealth(args: readonly string[]): CommandLine {
  const last = args.at(-1) ?? "";
  const url = /^[a-z]+:\/\//i.test(last) ? last : null;
  let configFile: string | null = null;
  for (const given of readOptions(url === null ? args : args.slice(0, -1))) {
    if (typeof given === "string") return usageError(given);
    if (given.option.name === "help") return { kind: "help", text: usage };
    if (given.option.name !== "config") return usageError(`health takes no option --${given.option.name}`);
    configFile = given.value;
  }
  if (url !== null && configFile !== null) return usageError("health takes --config FILE or a URL, not both");
  return { kind: "health", options: { configFile, url } };
}

function usageError(message: string): CommandLine {
  return { kind: "usage-error", text: `llmproxyd: ${message}\n\n${usage}` };
}

/** Gives the options one by one, or a message and then nothing more. */
function* readOptions(args: readonly string[]): Generator<Given | string> {
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--" && i === args.length - 1) return;
    const read = arg.startsWith("--") && arg !== "--" ? readLong(arg) : readShort(arg);
    if (typeof read === "string") return yield read;
    for (const { option, value } of read) {
      if (option.value === null || value !== null) {
        yield { option, value };
        continue;
      }
      const next = args[i + 1];
      if (
        next === undefined ||
        next === "" ||
        (next.startsWith("-") && next !== "-" && !/^-[0-9]/.test(next))
      ) {
        return yield missingValue(option);
      }
      i++;
      yield { option, value: next };
    }
  }
}

/** `--name` or `--name=value` */
function readLong(arg: string): Given[] | string {
  const end = arg.indexOf("=");
  const name = arg.slice(2, end === -1 ? undefined : end);
  const value = end === -1 ? null : arg.slice(end + 1);
  const option = options.find((candidate) => candidate.name === name);
  if (option === undefined) {
    const near = nearest(
      name,
      options.map((candidate) => candidate.name),
    );
    return `unknown option ${quote(`--${name}`)}${near === null ? "" : ` (did you mean "--${near}"?)`}`;
  }
  if (option.value === null && value !== null)
    return `option --${name} takes no value, found ${quote(value)}`;
  if (value === "") return missingValue(option);
  return [{ option, value }];
}

/** `-d`, `-dt`, `-c`, `-cFILE`, `-dtcFILE`; what follows the letter of an option with a value is its value. */
function readShort(arg: string): Given[] | string {
  if (!arg.startsWith("-") || arg === "-" || arg === "--") {
    const near = nearest(
      arg,
      options.map((candidate) => candidate.name),
    );
    const suggestion = near === null ? "" : ` (did you mean "--${near}"?)`;
    return `unexpected argument ${quote(arg)}${suggestion}; a configuration file is given with --config FILE`;
  }
  const found: Given[] = [];
  for (let i = 1; i < arg.length; i++) {
    const letter = arg[i]!;
    const option = options.find((candidate) => candidate.short === letter);
    if (option === undefined) return `unknown option ${quote(`-${letter}`)}${suggestLong(arg)}`;
    if (option.value !== null) return [...found, { option, value: arg.slice(i + 1) || null }];
    found.push({ option, value: null });
  }
  return found;
}

/** For `-config` in place of `--config`, and for a letter in the wrong case. */
function suggestLong(arg: string): string {
  const word = arg.slice(1);
  const long =
    word.length > 2
      ? nearest(
          word,
          options.map((candidate) => candidate.name),
        )
      : null;
  if (long !== null) return ` (did you mean "--${long}"?)`;
  const short = options.find((candidate) => candidate.short?.toLowerCase() === word.toLowerCase())?.short;
  return short == null ? "" : ` (did you mean "-${short}"?)`;
}

function missingValue(option: Option): string {
  return `option --${option.name} needs a value: --${option.name} ${option.value}`;
}

/** Gives the options with one more of them, or a message when its value is not allowed. */
function apply(run: RunOptions, { option, value }: Given): RunOptions | string {
  switch (option.name) {
    case "config":
      return { ...run, configFile: value ?? "" };
    case "test":
      return { ...run, test: true };
    case "debug":
      return { ...run, debug: true };
    case "watch":
      return { ...run, watch: true };
    case "demo":
      return { ...run, demo: true };
    case "shutdown-timeout": {
      const seconds = integerIn(value, 1, 120);
      if (seconds !== null) return { ...run, shutdownTimeoutMs: seconds * 1000 };
      return `option --shutdown-timeout: found ${quote(value ?? "")}, expected an integer from 1 to 120 (seconds)`;
    }
    case "shutdown-delay": {
      const seconds = integerIn(value, 0, 60);
      if (seconds !== null) return { ...run, shutdownDelayMs: seconds * 1000 };
      return `option --shutdown-delay: found ${quote(value ?? "")}, expected an integer from 0 to 60 (seconds)`;
    }
    case "workers": {
      const workers = integerIn(value, 1, 64);
      if (workers !== null) return { ...run, workers };
      return `option --workers: found ${quote(value ?? "")}, expected an integer from 1 to 64`;
    }
    default:
      return run;
  }
}

function integerIn(text: string | null, min: number, max: number): number | null {
  if (text === null || !/^[0-9]{1,9}$/.test(text)) return null;
  const value = Number(text);
  return value >= min && value <= max ? value : null;
}
