import type { WorkerCells } from "../memory/worker-cells.ts";
import type { AddSample } from "../observe/board.ts";
import { LAG_EVERY_MS } from "../observe/loop-lag.ts";
import { nowMs } from "../shared/clock.ts";
import { build } from "./version.ts";

/** What the supervisor knows of itself and its workers. */
export interface SupervisorState {
  readonly draining: boolean;
  /** Numbers of the workers that serve. */
  readonly serving: readonly number[];
  readonly deaths: number;
  readonly cells: WorkerCells;
}

/** Tells the supervisor's own numbers for `/metrics`. */
export function supervisorSamples(state: SupervisorState, add: AddSample): void {
  add("llmproxy_workers", [], state.serving.length);
  add("llmproxy_worker_deaths_total", [], state.deaths);
  for (const worker of state.serving)
    add("llmproxy_worker_event_loop_lag_seconds", [String(worker)], lagMs(state.cells, worker) / 1000);
  add("llmproxy_draining", [], state.draining ? 1 : 0);
  add("llmproxy_build_info", [build.version, build.commit, Bun.version], 1);
}

/** A worker that hangs does not tell of it, but it does not tell of anything else either. */
function lagMs(cells: WorkerCells, worker: number): number {
  const { lagMs, atMs } = cells.lastBeat(worker);
  return atMs === 0 ? 0 : Math.max(lagMs, nowMs() - atMs - LAG_EVERY_MS);
}
