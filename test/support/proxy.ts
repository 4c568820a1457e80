import { afterEach } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Child, type RunOptions, spawnBinary } from "./binary.ts";
import type { Keys } from "./config.ts";
import { LineLog } from "./line-log.ts";

export interface ProxyOptions extends RunOptions {
  /** Null: no configuration file is written, and none is named. */
  readonly config: Keys | null;
  /** Default: 2; null: what the configuration says. */
  readonly workers?: number | null;
  /** Further arguments of the command line. */
  readonly args?: readonly string[];
}

const CONFIG_FILE = "config.yaml";

/** Lines that end a reload. */
function reloads(log: string): string[] {
  return log.split("\n").filter((line) => / configuration (applied|refused)/.test(line));
}

/** Thrown in the disposal itself they would hide the error of the test. */
const wrongEnds: Error[] = [];

afterEach(() => {
  const [first] = wrongEnds.splice(0);
  if (first !== undefined) throw first;
});

/** The proxy did not come up; it has ended. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
  readonly exitCode: number;
  readonly stderr: string;

  constructor(exitCode: number, stderr: string) {
    super(`llmproxyd ended with ${exitCode}:\n${stderr}`);
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

/** A compiled `llmproxyd` that serves. Use it with `await using`, or stop it in `afterAll`. */
export class RunningProxy {
  /** Port of each forward, by name. */
  readonly ports: ReadonlyMap<string, number>;
  readonly adminUrl: string;
  private readonly child: Child;
  private readonly log: LineLog;
  private readonly output: LineLog;
  /** Its own, where its configuration is. */
  readonly directory: string;
  private stopped: Promise<number> | null = null;

  constructor(child: Child, log: LineLog, output: LineLog, directory: string) {
    this.child = child;
    this.log = log;
    this.output = output;
    this.directory = directory;
    this.ports = new Map(
      [...log.text.matchAll(/ listening forward=(\S+) address=\S+ port=(\d+)/g)].map((match) => [
        match[1]!,
        Number(match[2]),
      ]),
    );
    const admin = / listening admin=true address=\S+ port=(\d+)/.exec(log.text);
    this.adminUrl = `http://127.0.0.1:${admin?.[1]}`;
  }

  get pid(): number {
    return this.child.pid;
  }

  /** All that it logged so far. */
  get stderr(): string {
    return this.log.text;
  }

  /** All that it printed so far. */
  get stdout(): string {
    return this.output.text;
  }

  /** Port of a forward; the first one where none is named. */
  port(forward?: string): number {
    const port = forward === undefined ? [...this.ports.values()][0] : this.ports.get(forward);
    if (port === undefined) throw new Error(`there is no forward ${forward ?? ""}`);
    return port;
  }

  /** Base URL of a forward, without a path. */
  url(forward?: string): string {
    return `http://127.0.0.1:${this.port(forward)}`;
  }

  /** Values of `/metrics` by series, as they stand there: `name{label="x"}`. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const text = await (await fetch(`${this.adminUrl}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      lines.map((line) => {
        const space = line.lastIndexOf(" ");
        return [line.slice(0, space), Number(line.slice(space + 1))];
      }),
    );
  }

  /** Resolves when the log has a line with this text. Rejects when the process ends before. */
  logged(text: string): Promise<void> {
    return this.log.until((log) => log.includes(text));
  }

  /** Resolves when the standard output has a line with this text. Rejects when the process ends before. */
  printed(text: string): Promise<void> {
    return this.output.until((output) => output.includes(text));
  }

  /** Writes the configuration file anew; text is written as it is. */
  configure(config: Keys | string): void {
    const text = typeof config === "string" ? config : JSON.stringify(config, null, 2);
    writeFileSync(join(this.directory, CONFIG_FILE), text);
  }

  /** Lets it read another configuration, and gives what became of that: the line of the log. */
  async reload(config: Keys | string): Promise<string> {
    this.configure(config);
    const before = reloads(this.stderr).length;
    this.signal("SIGHUP");
    await this.log.until((text) => reloads(text).length > before);
    return reloads(this.stderr)[before]!;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Gives the exit code when the process has ended. */
  get exited(): Promise<number> {
    return this.child.exited;
  }

  /** Ends it by SIGTERM; throws unless it then exits with 0. What is still in progress is waited for. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null) this.child.kill("SIGTERM");
    const exitCode = await this.end();
    if (exitCode !== 0) throw new Error(`llmproxyd ended with ${exitCode}:\n${this.stderr}`);
  }

  /** Ends it at once, whatever it does. */
  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.end();
  }

  /** Waits for its end, whatever the code. */
  private end(): Promise<number> {
    this.stopped ??= this.child.exited.finally(() =>
      rmSync(this.directory, { recursive: true, force: true }),
    );
    return this.stopped;
  }

  /** Ends it at the end of a test's scope. A wrong exit code fails the test after that, beside its own error. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.stopped !== null) return;
    if (this.child.exitCode !== null) await this.end();
    else await this.stop().catch((error: Error) => wrongEnds.push(error));
  }
}

/**
 * Writes the configuration to a directory of its own, starts the binary, and resolves once everything is
 * listened on. Throws a `StartFailure` when the process ends instead.
 */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const directory = mkdtempSync(join(tmpdir(), "llmproxy-test-"));
  // Another user may have to read it.
  chmodSync(directory, 0o755);
  const { workers = 2 } = options;
  const args = [...(workers === null ? [] : ["--workers", String(workers)]), ...(options.args ?? [])];
  if (options.config !== null) {
    const file = join(directory, CONFIG_FILE);
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(options.config, null, 2));
    args.push("--config", file);
  }
  const child = spawnBinary(args, options);
  const output = new LineLog(child.stdout);
  const log = new LineLog(child.stderr);
  try {
    await log.until((text) => text.includes(" listening admin=true "));
  } catch {
    const exitCode = await child.exited;
    rmSync(directory, { recursive: true, force: true });
    throw new StartFailure(exitCode, log.text);
  }
  return new RunningProxy(child, log, output, directory);
}
