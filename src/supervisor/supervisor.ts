import { byId, type Plan } from "../config/plan.ts";
import { defaultBodyBytesMax } from "../limits/body-budget.ts";
import { type Capacity, proposeCapacity } from "../memory/capacity.ts";
import { SharedMemory } from "../memory/shared-memory.ts";
import { Board } from "../observe/board.ts";
import { type Level, log } from "../observe/log.ts";
import type { Generation } from "../proxy/generation.ts";
import { Generations, noRoom } from "./generations.ts";
import type { FromWorker } from "./messages.ts";
import { supervisorSamples, type SupervisorState } from "./samples.ts";
import { StartError } from "./start-error.ts";
import type { WorkerHandle } from "./worker-handle.ts";
import type { WorkerSource } from "./worker-source.ts";

/** A worker that dies within this time of its start is not replaced at once: it would only die again. */
const RESPAWN_DELAY_MS = 1_000;
/** How long a worker may take to start, and to take another configuration. */
const START_LIMIT_MS = 30_000;
const CHANGE_LIMIT_MS = 5_000;

export interface SupervisorOptions {
  readonly plan: Plan;
  readonly workers: number;
  readonly workerSource: WorkerSource;
  readonly logLevel: Level;
  readonly writeLine: (line: string) => void;
  /** Takes whole lines of the access log, which stay as they are until `onDone`. */
  readonly writeAccess: (lines: Uint8Array, onDone: () => void) => void;
  /** Connections that the process may have with so many workers, to clients and upstreams together; 0 = no bound. */
  readonly connectionsMax: (workers: number) => number;
}

/**
 * Owns the shared memory and the worker threads: starts them, replaces those that die, gives them another
 * configuration, drains them. Proxies nothing.
 */
export class Supervisor {
  readonly board: Board;
  readonly memory: SharedMemory;
  /** `/health` says so, no worker that dies is replaced, and the configuration stays. */
  draining = false;
  private readonly options: SupervisorOptions;
  private readonly capacity: Capacity;
  private readonly buffer: SharedArrayBuffer;
  private readonly generations: Generations;
  /** By number: those that serve, and those that finish what they have before they end. */
  private readonly workers = new Map<number, WorkerHandle>();
  private readonly leaving = new Map<number, WorkerHandle>();
  private wanted: number;
  private started = false;
  private deaths = 0;
  /** Settles when no change of the configuration is under way: a worker that is started meanwhile could miss it. */
  private changing: Promise<unknown> = Promise.resolve();

  constructor(options: SupervisorOptions) {
    this.options = options;
    this.wanted = options.workers;
    this.capacity = proposeCapacity(options.plan, options.workers);
    this.buffer = SharedMemory.allocate(this.capacity);
    this.memory = SharedMemory.over(this.buffer, this.capacity);
    this.generations = new Generations(options.plan, this.memory, this.capacity);
    this.setBounds(options.plan);
    this.board = new Board(this.memory.series);
    this.board.addSource((add) => supervisorSamples(this.state(), add));
  }

  /** What is served by now. */
  get plan(): Plan {
    return this.generations.present.plan;
  }

  /** Port of each forward, by id, once `start` has settled. */
  get ports(): readonly number[] {
    return this.generations.present.ports;
  }

  get generation(): Generation {
    return this.generations.present;
  }

  /** Starts all workers; settles when every forward is listened on in every one. Throws a `StartError`. */
  async start(): Promise<void> {
    const first = this.generations.present;
    // The first one finds a port for each forward that left it open; the others share it.
    const ports = first.ports.includes(0) ? await this.launch(this.freeNumber()) : first.ports;
    this.generations.present = { ...first, ports };
    await this.fill();
    this.started = true;
  }

  /** What there is to tell of itself. */
  state(): SupervisorState {
    const { draining, deaths, memory, workers } = this;
    return { draining, serving: [...workers.keys()], deaths, cells: memory.workers };
  }

  /**
   * Serves by another plan (whose ids may be any) in every worker, with so many of them, or in none: then it throws a
   * `StartError` that says why. Requests in progress finish by the plan that they began with.
   */
  change(plan: Plan, workers: number): Promise<void> {
    const change = this.changing.then(() => this.changeNow(plan, workers));
    this.changing = change.catch(() => {});
    return change;
  }

  /** Accepts nothing more; settles when all requests in progress are answered. */
  async drain(): Promise<void> {
    this.draining = true;
    const all = [...this.workers.values(), ...this.leaving.values()];
    for (const worker of all) worker.tell({ kind: "drain" });
    await Promise.all(all.map((worker) => worker.drained));
  }

  /** Breaks off, visibly, what is in progress while draining; `drain` then settles. */
  cut(): void {
    for (const worker of [...this.workers.values(), ...this.leaving.values()]) worker.tell({ kind: "cut" });
  }

  private async changeNow(plan: Plan, workers: number): Promise<void> {
    if (workers > this.capacity.workers) throw noRoom("workers", this.capacity.workers);
    const next = this.generations.next(plan);
    const before = this.plan;
    this.setBounds(next.plan);
    try {
      await this.switchTo(next);
    } catch (error) {
      this.setBounds(before);
      throw error;
    }
    this.wanted = workers;
    this.memory.limits.socketsMax = this.options.connectionsMax(this.wanted);
    for (const number of [...this.workers.keys()].slice(this.wanted)) this.dismiss(number);
    await this.fill();
  }

  private async switchTo(next: Generation): Promise<void> {
    const workers = [...this.workers];
    const { generation, prepared } = await prepare(
      next,
      workers.map(([, worker]) => worker),
    );
    this.generations.advance(
      generation,
      workers.map(([number]) => number),
    );
    const commits = workers.map(async ([number, worker]) => {
      if (prepared.has(worker) && (await worker.commit(generation, CHANGE_LIMIT_MS))) return;
      if (this.workers.get(number) !== worker) return;
      log("error", "a worker has missed the new configuration and is replaced", { worker: number });
      this.dismiss(number);
    });
    await Promise.all(commits);
  }

  /** Lets a worker finish what it has, and end. */
  private dismiss(number: number): void {
    const worker = this.workers.get(number)!;
    this.workers.delete(number);
    this.leaving.set(number, worker);
    worker.tell({ kind: "drain" });
    void worker.drained.then(() => worker.tell({ kind: "end" }));
  }

  /** Starts workers until there are as many as wanted. */
  private async fill(): Promise<void> {
    const starts: Promise<unknown>[] = [];
    while (this.workers.size < this.wanted && this.workers.size + this.leaving.size < this.capacity.workers)
      starts.push(this.launch(this.freeNumber()));
    await Promise.all(starts);
  }

  private freeNumber(): number {
    let number = 0;
    while (this.workers.has(number) || this.leaving.has(number)) number++;
    return number;
  }

  /** Starts one worker and gives the ports that it listens on, by forward id. Throws a `StartError`. */
  private async launch(number: number): Promise<readonly number[]> {
    const startedMs = performance.now();
    const generation = this.generations.present;
    let reason = "it did not answer";
    const worker = this.options.workerSource.next();
    this.workers.set(number, worker);
    // One that was begun early may have ended already: then it is buried here.
    worker.listen({
      onMessage: (message) => this.take(number, message),
      onEnd: (ended) => {
        reason = ended;
        this.bury(number, ended, performance.now() - startedMs);
      },
    });
    const opened = await worker.open(
      {
        kind: "start",
        worker: number,
        generation,
        memory: this.buffer,
        capacity: this.capacity,
        logLevel: this.options.logLevel,
      },
      START_LIMIT_MS,
    );
    if (opened?.kind === "listening") return opened.ports;
    // While the process serves it is tried again, as after a death.
    if (this.started) worker.tell({ kind: "end" });
    if (opened === null) throw new StartError(`worker ${number} could not start: ${reason}`);
    throw cannotListen(generation, opened);
  }

  private take(worker: number, message: FromWorker): void {
    if (message.kind === "series") this.board.take(worker, message.notices);
    else if (message.kind === "log") this.options.writeLine(message.line);
    else if (message.kind === "settled") this.generations.settled(worker, message.generation);
    else if (message.kind === "access") this.writeAccess(worker, message.slot, message.length);
  }

  private writeAccess(worker: number, slot: number, length: number): void {
    const slots = this.memory.logs[worker]!;
    slots.hold(slot);
    this.options.writeAccess(slots.bytes(slot).subarray(0, length), () => slots.free(slot));
  }

  /** Gives back what an ended worker held, keeps what it had counted, and starts another in its place if it died. */
  private bury(number: number, reason: string, livedMs: number): void {
    const dismissed = this.leaving.delete(number);
    this.workers.delete(number);
    this.memory.giveBackWorker(number);
    this.generations.workerEnded(number);
    this.board.retire(number);
    if (dismissed) return;
    this.deaths++;
    if (this.draining) return;
    const fate = this.started ? "worker died and is replaced" : "worker died during the start";
    log("error", fate, { worker: number, reason });
    const replace = () => {
      if (!this.draining)
        this.fill().catch((error: Error) => log("error", error.message, { worker: number }));
    };
    const delayMs = livedMs < RESPAWN_DELAY_MS ? RESPAWN_DELAY_MS : 0;
    setTimeout(() => void this.changing.then(replace), delayMs);
  }

  private setBounds(plan: Plan): void {
    const { limits } = this.memory;
    limits.buffered.setMax(plan.bufferedBytesMax ?? defaultBodyBytesMax());
    limits.socketsMax = this.options.connectionsMax(this.wanted);
  }
}

/**
 * Lets workers prepare for a generation, and gives those that have, with its ports. One that does not answer has no
 * say. Throws a `StartError`, with nothing prepared any longer, when one of them cannot listen.
 */
async function prepare(
  next: Generation,
  workers: readonly WorkerHandle[],
): Promise<{ readonly generation: Generation; readonly prepared: ReadonlySet<WorkerHandle> }> {
  const prepared = new Set<WorkerHandle>();
  let generation = next;
  const ask = async (worker: WorkerHandle) => {
    const opened = await worker.open({ kind: "prepare", generation }, CHANGE_LIMIT_MS);
    if (opened?.kind === "listening") prepared.add(worker);
    return opened;
  };
  // As in `start`: one of them finds the ports that were left open.
  const answers = workers[0] === undefined ? [] : [await ask(workers[0])];
  if (answers[0]?.kind === "listening") generation = { ...next, ports: answers[0].ports };
  answers.push(...(await Promise.all(workers.slice(1).map(ask))));
  for (const answer of answers) {
    if (answer?.kind !== "cannot-listen") continue;
    for (const worker of workers) worker.tell({ kind: "discard" });
    throw cannotListen(generation, answer);
  }
  return { generation, prepared };
}

function cannotListen(
  { plan, ports }: Generation,
  { forward, code }: { forward: number; code: string },
): StartError {
  const { name, address } = byId(plan.forwards)[forward]!;
  return StartError.cannotBind(`forward "${name}"`, address, ports[forward]!, code);
}
