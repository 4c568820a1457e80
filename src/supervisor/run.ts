import { availableParallelism } from "node:os";

import type { CommandLine, RunOptions } from "../cli.ts";
import { describePlan } from "../config/describe.ts";
import { loadConfig, type LoadResult } from "../config/load.ts";
import type { Plan } from "../config/plan.ts";
import { formatProblem } from "../config/problem.ts";
import { WORKERS_MAX } from "../memory/capacity.ts";
import { type Level, log, logError, setLog } from "../observe/log.ts";
import { joinPath } from "../proxy/target.ts";
import { ConfigWatch } from "./config-watch.ts";
import { connectionsMax } from "./environment.ts";
import { Logs } from "./logs.ts";
import { Reloader } from "./reloader.ts";
import { findServiceManager } from "./sd-notify.ts";
import { Service } from "./service.ts";
import { onHangUp, onReopen, onSucceed, STOP_ECHO_MS, stopSignal } from "./signals.ts";
import { StartError } from "./start-error.ts";
import { startSuccessor, tellPredecessor } from "./successor.ts";
import { Supervisor } from "./supervisor.ts";
import { build, versionText } from "./version.ts";
import { stuckWorker } from "./watchdog.ts";
import type { WorkerSource } from "./worker-source.ts";

/** How long the last lines of the logs may take to be written. */
const LOG_FLUSH_MS = 1_000;
/** With fewer than this to clients and upstreams together it is most likely that somebody forgot the limit. */
const FEW_CONNECTIONS = 1_000;
/** What the service manager grants on top of the time limit for requests in progress. */
const STOP_EXTRA_MS = 5_000;
/** How long it may take to break off what is in progress. */
const CUT_LIMIT_MS = 500;

/** Does what the command line asks for and gives the exit code: 0 fine, 1 failed, 2 wrong usage. */
export async function main(command: CommandLine, workerSource: WorkerSource): Promise<number> {
  switch (command.kind) {
    case "help":
      process.stdout.write(command.text);
      return 0;
    case "version":
      process.stdout.write(`${versionText()}\n`);
      return 0;
    case "health":
      return (await import("./health.ts")).health(command.options, process.env);
    case "usage-error":
      process.stderr.write(command.text);
      return 2;
    case "run":
      return run(command.options, workerSource);
  }
}

async function run(options: RunOptions, workerSource: WorkerSource): Promise<number> {
  const logs = new Logs();
  const logLevel: Level = options.debug ? "debug" : "info";
  setLog(logLevel, logs.writeLine);
  tellOfBugs();
  try {
    return await serve(options, workerSource, logs, logLevel);
  } catch (error) {
    logError("the process ends by a bug", {}, error);
    return 1;
  } finally {
    await logs.flush(LOG_FLUSH_MS);
  }
}

/** A bug in this thread is told, and all goes on. In the engine's own words it could repeat a secret. */
function tellOfBugs(): void {
  const tell = (error: unknown) => logError("bug in the main thread", {}, error);
  process.on("uncaughtException", tell);
  process.on("unhandledRejection", tell);
}

async function serve(
  options: RunOptions,
  workerSource: WorkerSource,
  logs: Logs,
  logLevel: Level,
): Promise<number> {
  // Loaded where it is asked for: it takes time and memory at every start.
  const demo = options.demo ? (await import("./demo.ts")).startDemo() : null;
  let files: readonly string[] = [];
  const load = () => {
    const result = demo?.loaded ?? loadConfig(options.configFile, process.env);
    files = [options.configFile, ...result.files];
    return result;
  };
  const loaded = load();
  if (!loaded.ok) return reportErrors(loaded, options.configFile);
  for (const warning of loaded.warnings) log("warn", formatProblem(warning));
  if (options.test) {
    process.stdout.write(`${options.configFile}: valid\n${describePlan(loaded.plan, joinPath)}`);
    return 0;
  }
  const workersFor = (plan: Plan) => options.workers ?? plan.workers ?? defaultWorkers();
  const supervisor = new Supervisor({
    plan: loaded.plan,
    workers: workersFor(loaded.plan),
    workerSource,
    logLevel,
    writeLine: logs.writeLine,
    writeAccess: logs.writeAccess,
    connectionsMax,
  });
  warnOfFewFiles(workersFor(loaded.plan));
  const service = new Service(supervisor, logs);
  const manager = await findServiceManager(process.env);
  const reloader = new Reloader(service, manager, load, workersFor);
  // Heard from now on: a signal during the start must not end the process by its default.
  const stop = stopSignal();
  const started = Promise.withResolvers<void>();
  onHangUp(() => void started.promise.then(() => reloader.request("SIGHUP")));
  // Without an access log too: a rotation of somebody else's logs must not end the process.
  onReopen(() => logs.reopen());
  const succeeded = successorServes(started.promise, options);
  try {
    await service.start();
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`llmproxyd: ${error.message}\n`);
    return 1;
  }
  // The executable's policy is one for starts. From now on what runs often is worth compiling.
  Bun.unsafe.setJITPolicy(1);
  log("info", "started", { ...build, bun: Bun.version, workers: supervisor.state().serving.length });
  service.announce();
  if (demo !== null) process.stdout.write(demo.banner(supervisor.ports[0]!, service.adminPort));
  if (options.watch)
    new ConfigWatch(
      () => files,
      () => reloader.request("--watch"),
    );
  manager.ready("serving");
  manager.watch((silentMs) => stuckWorker(supervisor.state(), silentMs));
  tellPredecessor();
  started.resolve();
  const end = await Promise.race([stop, succeeded]);
  if (typeof end === "string")
    manager.stopping(options.shutdownDelayMs + options.shutdownTimeoutMs + STOP_EXTRA_MS);
  else manager.handOver(end);
  return drained(supervisor, typeof end === "string" ? end : "SIGUSR2", options);
}

function warnOfFewFiles(workers: number): void {
  const connections = connectionsMax(workers);
  if (connections < FEW_CONNECTIONS)
    log("warn", "there are few files for connections: raise the limit of open files", { connections });
}

/** Starts a successor at each SIGUSR2; settles with the pid of the first one that serves. */
function successorServes(started: Promise<void>, { demo }: RunOptions): Promise<number> {
  return new Promise((resolve) => {
    let starting = false;
    onSucceed(async () => {
      await started;
      if (demo || process.pid === 1) {
        const reason = demo ? "a demonstration has none" : "the first process of a container cannot have one";
        log("error", "no successor is started", { reason });
        return;
      }
      if (starting) return;
      starting = true;
      const pid = await startSuccessor();
      starting = false;
      if (pid !== null) resolve(pid);
    });
  });
}

function reportErrors(loaded: Extract<LoadResult, { ok: false }>, file: string): number {
  for (const problem of loaded.errors) process.stderr.write(`${formatProblem(problem)}\n`);
  const count = loaded.errors.length;
  process.stderr.write(`llmproxyd: ${file} has ${count} error${count === 1 ? "" : "s"}\n`);
  return 1;
}

/** Without SO_REUSEPORT that balances (Linux has it) a second worker would get no connections. */
function defaultWorkers(): number {
  return process.platform === "linux" ? Math.min(WORKERS_MAX, availableParallelism()) : 1;
}

/** Lets requests in progress end within the limit, or until a second signal. Gives the exit code. */
async function drained(
  supervisor: Supervisor,
  signal: string,
  { shutdownDelayMs, shutdownTimeoutMs }: RunOptions,
): Promise<number> {
  const again = stopSignal(STOP_ECHO_MS).then(() => "late" as const);
  // A successor has the listeners already; nobody needs to notice anything.
  const delayMs = signal === "SIGUSR2" ? 0 : shutdownDelayMs;
  log("info", "draining", { signal, limit_s: (delayMs + shutdownTimeoutMs) / 1000 });
  supervisor.draining = true;
  await Promise.race([again, Bun.sleep(delayMs)]);
  const late = new Promise<"late">((resolve) => setTimeout(resolve, shutdownTimeoutMs, "late"));
  const end = await Promise.race([supervisor.drain(), late, again]);
  if (end !== "late") return 0;
  supervisor.cut();
  log("warn", "requests in progress were cut");
  // They are counted and logged like others, if their workers still turn.
  await Promise.race([supervisor.drain(), Bun.sleep(CUT_LIMIT_MS)]);
  return 1;
}
