import { availableParallelism } from "node:os";

import { limitSamples, upstreamSamples } from "../admin/balancer-samples.ts";
import { readiness } from "../admin/readiness.ts";
import { serveAdmin } from "../admin/server.ts";
import { parseCommandLine, type RunOptions } from "../cli.ts";
import { describePlan } from "../config/describe.ts";
import { loadConfig, type LoadResult } from "../config/load.ts";
import type { Plan } from "../config/plan.ts";
import { formatProblem } from "../config/problem.ts";
import { type Level, log, setLog } from "../observe/log.ts";
import { processSamples } from "../observe/process-samples.ts";
import { joinPath } from "../proxy/target.ts";
import { nowMs } from "../shared/clock.ts";
import type { Demo } from "./demo.ts";
import { connectionsMax } from "./environment.ts";
import { Logs } from "./logs.ts";
import { findServiceManager, type ServiceManager } from "./sd-notify.ts";
import { onHangUp, onReopen, STOP_ECHO_MS, stopSignal } from "./signals.ts";
import { StartError, Supervisor } from "./supervisor.ts";
import { build, versionText } from "./version.ts";
import { stuckWorker } from "./watchdog.ts";

/** How long the last lines of the logs may take to be written. */
const LOG_FLUSH_MS = 1_000;
/** What the service manager grants on top of the time limit for requests in progress. */
const STOP_EXTRA_MS = 5_000;

/** Runs the command line (`workerUrl`: entry of the worker threads) and gives the exit code: 0 fine, 1 failed, 2 wrong usage. */
export async function main(args: readonly string[], workerUrl: URL): Promise<number> {
  const command = parseCommandLine(args);
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
      return run(command.options, workerUrl);
  }
}

async function run(options: RunOptions, workerUrl: URL): Promise<number> {
  const logs = new Logs();
  const logLevel: Level = options.debug ? "debug" : "info";
  setLog(logLevel, logs.writeLine);
  try {
    return await serve(options, workerUrl, logs, logLevel);
  } finally {
    await logs.flush(LOG_FLUSH_MS);
  }
}

async function serve(options: RunOptions, workerUrl: URL, logs: Logs, logLevel: Level): Promise<number> {
  // Loaded where it is asked for: it takes time and memory at every start.
  const demo = options.demo ? (await import("./demo.ts")).startDemo() : null;
  const loaded = demo?.loaded ?? loadConfig(options.configFile, process.env);
  if (!loaded.ok) return reportErrors(loaded, options.configFile);
  for (const warning of loaded.warnings) log("warn", formatProblem(warning));
  if (options.test) {
    process.stdout.write(`${options.configFile}: valid\n${describePlan(loaded.plan, joinPath)}`);
    return 0;
  }
  const workers = options.workers ?? defaultWorkers();
  const supervisor = new Supervisor({
    plan: loaded.plan,
    workers,
    workerUrl,
    logLevel,
    writeLine: logs.writeLine,
    writeAccess: logs.writeAccess,
    connectionsMax: connectionsMax(workers),
  });
  // Heard from now on: a signal during the start must not end the process by its default.
  const stop = stopSignal();
  onHangUp(() => log("warn", "SIGHUP changes nothing: the configuration is read when the process starts"));
  // Without an access log too: a rotation of somebody else's logs must not end the process.
  onReopen(() => logs.reopen());
  supervisor.board.addSource(logs.samples);
  const manager = await findServiceManager(process.env);
  try {
    openAccessLog(loaded.plan, logs);
    await supervisor.start();
    const adminPort = openAdmin(loaded.plan, supervisor);
    announce(loaded.plan, supervisor, adminPort, demo);
    manager.ready("serving");
    manager.watch((silentMs) => stuckWorker(supervisor.state(), silentMs));
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`llmproxyd: ${error.message}\n`);
    return 1;
  }
  return stopped(supervisor, await stop, options.shutdownTimeoutMs, manager);
}

function reportErrors(loaded: Extract<LoadResult, { ok: false }>, file: string): number {
  for (const problem of loaded.errors) process.stderr.write(`${formatProblem(problem)}\n`);
  const count = loaded.errors.length;
  process.stderr.write(`llmproxyd: ${file} has ${count} error${count === 1 ? "" : "s"}\n`);
  return 1;
}

/** Without SO_REUSEPORT that balances (Linux has it) a second worker would get no connections. */
function defaultWorkers(): number {
  return process.platform === "linux" ? Math.min(64, availableParallelism()) : 1;
}

function openAccessLog({ accessLog }: Plan, logs: Logs): void {
  if (accessLog === null) return;
  try {
    logs.openAccess(accessLog);
  } catch (error) {
    const code = String((error as { code?: unknown }).code ?? "unknown");
    throw new StartError(`the access log ${accessLog.path} cannot be opened: ${code}`);
  }
}

function openAdmin(plan: Plan, supervisor: Supervisor): number {
  try {
    const { board, memory } = supervisor;
    board.addSource((add) => upstreamSamples(plan, memory, nowMs(), add));
    board.addSource((add) => limitSamples(plan, memory, nowMs(), add));
    board.addSource(processSamples);
    const server = serveAdmin(plan.admin, {
      isServing: () => !supervisor.draining,
      readiness: () => {
        const { draining, serving } = supervisor.state();
        return readiness(plan, memory.balancer, nowMs(), { draining, workers: serving.length });
      },
      metrics: () => board.render(),
    });
    return server.port ?? plan.admin.port;
  } catch (error) {
    const code = String((error as { code?: unknown }).code ?? "unknown");
    throw StartError.cannotBind("admin", plan.admin.address, plan.admin.port, code);
  }
}

function announce(plan: Plan, supervisor: Supervisor, adminPort: number, demo: Demo | null): void {
  log("info", "started", { ...build, bun: Bun.version, workers: supervisor.state().serving.length });
  for (const forward of plan.forwards) {
    const { name, strategy, members } = plan.groups[forward.group]!;
    const listener = { forward: forward.name, address: forward.address, port: supervisor.ports[forward.id]! };
    log("info", "listening", { ...listener, group: name, strategy, upstreams: members.length });
  }
  log("info", "listening", { admin: true, address: plan.admin.address, port: adminPort });
  if (demo !== null) process.stdout.write(demo.banner(supervisor.ports[0]!, adminPort));
}

/** Lets requests in progress end within the limit, or until a second signal. Gives the exit code. */
async function stopped(
  supervisor: Supervisor,
  signal: string,
  limitMs: number,
  manager: ServiceManager,
): Promise<number> {
  log("info", "draining", { signal, limit_s: limitMs / 1000 });
  manager.stopping(limitMs + STOP_EXTRA_MS);
  const late = new Promise<"late">((resolve) => setTimeout(resolve, limitMs, "late"));
  const again = stopSignal(STOP_ECHO_MS).then(() => "late" as const);
  const end = await Promise.race([supervisor.drain(), late, again]);
  if (end !== "late") return 0;
  log("warn", "requests in progress were cut");
  return 1;
}
