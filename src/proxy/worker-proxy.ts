import type { HttpServer } from "../http/exchange.ts";
import { BodyBudget } from "../limits/body-budget.ts";
import { SocketBudget } from "../limits/socket-budget.ts";
import type { SharedMemory } from "../memory/shared-memory.ts";
import type { LineBatcher } from "../observe/line-batcher.ts";
import type { Recorder } from "../observe/recorder.ts";
import type { Generation } from "./generation.ts";
import { openListener, settingsOf } from "./listener.ts";
import type { Route } from "./route.ts";
import { Routes, type WorkerParts } from "./routes.ts";
import { Transports } from "./transport/transports.ts";
import { BoundedModels } from "./upstream-metrics.ts";

/** How often it is looked whether the last request of an earlier configuration has ended. */
const LOOK_EVERY_MS = 50;

/** A forward's address cannot be bound. */
export interface CannotListen {
  /** Id of the forward. */
  readonly forward: number;
  /** As the system names it: `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`. */
  readonly code: string;
}

interface Listener {
  readonly address: string;
  /** As configured: 0 = any. */
  readonly port: number;
  readonly server: HttpServer;
}

/** Listeners by forward id. */
type Listeners = Map<number, Listener>;

/**
 * All that one worker thread does for clients: its listeners, and where their requests go. Another configuration comes in
 * two steps, so that all workers take it or none: `prepare` opens what is new, `commit` or `discard` follows.
 */
export class WorkerProxy {
  private readonly parts: WorkerParts;
  private current: Routes | null = null;
  private listeners: Listeners = new Map();
  private next: { readonly routes: Routes; readonly listeners: Listeners } | null = null;
  /** Routes of earlier configurations that requests are still on. */
  private readonly past = new Set<Routes>();
  /** Servers that finish what they have. */
  private readonly stopping = new Map<HttpServer, Promise<void>>();

  constructor(memory: SharedMemory, worker: number, recorder: Recorder, accessLines: LineBatcher) {
    const sockets = new SocketBudget(memory.limits, worker);
    this.parts = {
      memory,
      worker,
      recorder,
      models: new BoundedModels(),
      transports: new Transports(sockets),
      sockets,
      bodyBytes: new BodyBudget(memory.limits.buffered, worker),
      accessLines,
    };
  }

  /**
   * Opens the listeners that this configuration has and the present one has not; requests that already come in there go
   * where it says. Gives the port of each forward, by id, or the first that cannot be bound; then nothing has changed.
   */
  prepare(generation: Generation): readonly number[] | CannotListen {
    const routes = new Routes(generation, this.parts);
    const listeners: Listeners = new Map();
    this.next = { routes, listeners };
    for (const route of routes.routes) {
      const { id, address, port } = route.forward;
      const present = this.listeners.get(id);
      if (present?.address === address && present.port === port) {
        listeners.set(id, present);
        continue;
      }
      try {
        const server = openListener(route, generation.ports[id] ?? port, this.parts.bodyBytes);
        listeners.set(id, { address, port, server });
      } catch (error) {
        this.discard();
        return { forward: id, code: String((error as { code?: unknown }).code ?? "unknown") };
      }
    }
    const ports: number[] = [];
    for (const [id, { server }] of listeners) ports[id] = server.port;
    return ports;
  }

  /** Serves by what was prepared. Settles when the last request that the configuration before had begun has ended. */
  commit(): Promise<void> {
    const { current, next, listeners } = this;
    if (next === null) return Promise.resolve();
    this.next = null;
    this.current = next.routes;
    this.listeners = next.listeners;
    for (const route of next.routes.routes) {
      const { id } = route.forward;
      const listener = next.listeners.get(id)!;
      if (listeners.get(id) === listener) listener.server.update(settingsOf(route, this.parts.bodyBytes));
    }
    for (const [id, listener] of listeners) if (next.listeners.get(id) !== listener) this.stop(listener);
    return current === null ? Promise.resolve() : this.settled(current);
  }

  /** Closes what was opened for what was prepared. */
  discard(): void {
    const { next } = this;
    this.next = null;
    if (next === null) return;
    for (const [id, listener] of next.listeners) if (this.listeners.get(id) !== listener) this.stop(listener);
    void this.settled(next.routes);
  }

  /** Closes connections that wait, as other workers have asked for. To be called now and then. */
  closeAsked(): void {
    for (const { limits } of this.routes) limits.connections.closeAsked();
  }

  /** Accepts nothing more; settles when the last request in progress is answered. */
  async drain(): Promise<void> {
    this.discard();
    for (const listener of this.listeners.values()) this.stop(listener);
    this.listeners = new Map();
    while (this.stopping.size > 0) await Promise.all(this.stopping.values());
    // The verdict on a compressed answer can come after its last byte.
    for (const routes of [...this.past, this.current]) if (routes !== null) await untilFinished(routes);
  }

  /** Breaks off, visibly, what is in progress while draining. */
  cut(): void {
    for (const server of this.stopping.keys()) server.close();
  }

  /** Number of the configuration that is served by; undefined before the first. */
  get generation(): number | undefined {
    return this.current?.generation.number;
  }

  /** Routes of the present configuration, in its order. */
  get routes(): readonly Route[] {
    return this.current?.routes ?? [];
  }

  private stop({ server }: Listener): void {
    this.stopping.set(
      server,
      server.stop().then(() => void this.stopping.delete(server)),
    );
  }

  private async settled(routes: Routes): Promise<void> {
    this.past.add(routes);
    await untilFinished(routes);
    this.past.delete(routes);
    const inUse = [this.current, this.next?.routes, ...this.past];
    this.parts.transports.keepOnly(inUse.flatMap((used) => used?.generation.plan.groups ?? []));
  }
}

async function untilFinished(routes: Routes): Promise<void> {
  while (routes.unfinished > 0) await Bun.sleep(LOOK_EVERY_MS);
}
