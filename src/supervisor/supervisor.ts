import type { Plan } from "../config/plan.ts";
import { defaultBodyBytesMax } from "../limits/body-budget.ts";
import { proposeCapacity } from "../memory/capacity.ts";
import { proposeLimitsCapacity } from "../memory/limits-memory.ts";
import { type MemorySize, SharedMemory } from "../memory/shared-memory.ts";
import { Board } from "../observe/board.ts";
import { type Level, log } from "../observe/log.ts";
import type { FromWorker } from "./messages.ts";
import { supervisorSamples, type SupervisorState } from "./samples.ts";
import { WorkerHandle } from "./worker-handle.ts";

/** A worker that dies within this time of its start is not replaced at once: it would only die again. */
const RESPAWN_DELAY_MS = 1_000;

export interface SupervisorOptions {
  readonly plan: Plan;
  readonly workers: number;
  readonly workerUrl: URL | string;
  readonly logLevel: Level;
  readonly writeLine: (line: string) => void;
  /** Takes whole lines of the access log. */
  readonly writeAccess: (lines: string) => void;
  /** Connections that the process may have, to clients and upstreams together; 0 = no bound. */
  readonly connectionsMax: number;
}

/** Why the process cannot serve, in a sentence for people. */
export class StartError extends Error {
  override readonly name = "StartError";

  /** `who`: the listener; `code`: as the system names it. */
  static cannotBind(who: string, address: string, port: number, code: string): StartError {
    const host = address.includes(":") ? `[${address}]` : address;
    return new StartError(`${who} cannot listen on ${host}:${port}: ${BIND_ERRORS[code] ?? code}`);
  }
}

/** Owns the shared memory and the worker threads: starts them, replaces those that die, drains them. Proxies nothing. */
export class Supervisor {
  /** Port of each forward, by id, once `start` has settled. */
  ports: readonly number[];
  readonly board: Board;
  draining = false;
  private readonly options: SupervisorOptions;
  private readonly size: MemorySize;
  private readonly buffer: SharedArrayBuffer;
  readonly memory: SharedMemory;
  private readonly workers: (WorkerHandle | null)[] = [];
  private deaths = 0;
  private readonly drained = Promise.withResolvers<void>();
  private undrained = 0;

  constructor(options: SupervisorOptions) {
    this.options = options;
    this.ports = options.plan.forwards.map((forward) => forward.port);
    this.size = {
      capacity: proposeCapacity(options.plan, options.workers),
      limits: proposeLimitsCapacity(options.plan, options.workers),
    };
    this.buffer = SharedMemory.allocate(this.size);
    this.memory = SharedMemory.over(this.buffer, this.size);
    this.memory.limits.seed(randomWord);
    this.memory.limits.buffered.setMax(options.plan.bufferedBytesMax ?? defaultBodyBytesMax());
    this.memory.limits.socketsMax = options.connectionsMax;
    this.board = new Board(this.memory.series);
    this.board.addSource((add) => supervisorSamples(this.state(), add));
  }

  /** Starts all workers; settles when every forward is listened on in every one. Throws a `StartError`. */
  async start(): Promise<void> {
    const numbers = Array.from({ length: this.options.workers }, (_, worker) => worker);
    // The first one finds a port for each forward that left it open; the others share it.
    if (this.ports.includes(0)) this.ports = await this.launch(numbers.shift()!);
    await Promise.all(numbers.map((worker) => this.launch(worker)));
  }

  /** What there is to tell of itself. */
  state(): SupervisorState {
    const { draining, deaths, memory, workers } = this;
    const serving = [...workers.keys()].filter((worker) => workers[worker] !== null);
    return { draining, serving, deaths, cells: memory.workers };
  }

  /** Accepts nothing more; settles when all requests in progress are answered. */
  drain(): Promise<void> {
    if (!this.draining) {
      this.draining = true;
      this.undrained = this.workers.filter((worker) => worker !== null).length;
      for (const worker of this.workers) worker?.tell({ kind: "drain" });
      if (this.undrained === 0) this.drained.resolve();
    }
    return this.drained.promise;
  }

  /** Starts one worker and gives the ports that it listens on. */
  private launch(worker: number): Promise<readonly number[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly number[]>();
    const startedMs = performance.now();
    const handle = new WorkerHandle(this.options.workerUrl, {
      onMessage: (message) => {
        if (message.kind === "listening") resolve(message.ports);
        else if (message.kind === "cannot-listen") reject(this.cannotListen(message));
        else this.take(worker, message);
      },
      onEnd: (reason) => {
        reject(new StartError(`worker ${worker} could not start: ${reason}`));
        this.bury(worker, reason, performance.now() - startedMs);
      },
    });
    this.workers[worker] = handle;
    handle.tell({
      kind: "start",
      worker,
      plan: this.options.plan,
      memory: this.buffer,
      size: this.size,
      ports: this.ports,
      logLevel: this.options.logLevel,
    });
    return promise;
  }

  private take(worker: number, message: FromWorker): void {
    if (message.kind === "series") this.board.take(worker, message.notices);
    else if (message.kind === "log") this.options.writeLine(message.line);
    else if (message.kind === "access") {
      this.memory.workers.takeLogChars(worker, message.lines.length);
      this.options.writeAccess(message.lines);
    } else if (message.kind === "drained") this.oneDrained();
  }

  /** Gives back what a dead worker held, keeps what it had counted, and starts another in its place. */
  private bury(worker: number, reason: string, livedMs: number): void {
    this.workers[worker] = null;
    this.deaths++;
    this.memory.giveBackWorker(worker);
    this.board.retire(worker);
    if (this.draining) {
      this.oneDrained();
      return;
    }
    log("error", "worker died and is replaced", { worker, reason });
    const relaunch = () => {
      if (this.draining) return;
      this.launch(worker).catch((error: Error) => log("error", error.message, { worker }));
    };
    if (livedMs < RESPAWN_DELAY_MS) setTimeout(relaunch, RESPAWN_DELAY_MS);
    else relaunch();
  }

  private oneDrained(): void {
    this.undrained--;
    if (this.undrained === 0) this.drained.resolve();
  }

  private cannotListen({ forward, code }: { forward: number; code: string }): StartError {
    const { name, address, port } = this.options.plan.forwards[forward]!;
    return StartError.cannotBind(`forward "${name}"`, address, port, code);
  }
}

function randomWord(): number {
  return crypto.getRandomValues(new Int32Array(1))[0]!;
}

const BIND_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)",
};
