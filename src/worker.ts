// Entry of a worker thread: waits for the supervisor's word, opens the listeners, serves until it is told to drain.
import { SharedMemory } from "./memory/shared-memory.ts";
import { LineBatcher } from "./observe/line-batcher.ts";
import { logError, setLog } from "./observe/log.ts";
import { watchLoop } from "./observe/loop-lag.ts";
import { Recorder } from "./observe/recorder.ts";
import type { Generation } from "./proxy/generation.ts";
import { WorkerProxy } from "./proxy/worker-proxy.ts";
import { ClockAlignment, nowMs } from "./shared/clock.ts";
import type { FromWorker, ToWorker } from "./supervisor/messages.ts";

declare const self: Worker;

type Start = Extract<ToWorker, { kind: "start" }>;

const clock = new ClockAlignment();
let start: Start | null = null;
let proxy: WorkerProxy | null = null;
let accessLines: LineBatcher | null = null;
/** Number of the generation that is prepared, or served by. */
let generation = 0;

self.onmessage = (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  switch (message.kind) {
    case "start":
      start = message;
      setLog(message.logLevel, (line) => tell({ kind: "log", line }));
      // Deadlines in shared memory need one clock.
      askForClock();
      break;
    case "clock":
      if (!clock.take(message.nowMs)) askForClock();
      else if (start !== null && proxy === null) serve(start);
      break;
    case "prepare":
      prepare(message.generation);
      break;
    case "commit":
      commit();
      break;
    case "discard":
      proxy?.discard();
      break;
    case "drain":
      void drain();
      break;
    case "cut":
      proxy?.cut();
      break;
    case "end":
      process.exit(0);
  }
};

// A bug in one request must not take the others of this thread with it.
process.on("unhandledRejection", (error) => logError("unhandled rejection", {}, error));
process.on("uncaughtException", (error) => logError("uncaught exception", {}, error));

function askForClock(): void {
  clock.asking();
  tell({ kind: "clock?" });
}

function serve({ generation: first, memory, capacity, worker }: Start): void {
  const shared = SharedMemory.over(memory, capacity);
  const recorder = new Recorder(shared.series.row(worker), (notices) => tell({ kind: "series", notices }));
  const dropped = recorder.counter("llmproxy_access_log_dropped_lines_total");
  const batcher = new LineBatcher(
    shared.logs[worker]!,
    (slot, length) => tell({ kind: "access", slot, length }),
    (lines) => dropped.add(lines),
  );
  accessLines = batcher;
  const serving = new WorkerProxy(shared, worker, recorder, batcher);
  proxy = serving;
  watchLoop((lagMs) => {
    shared.workers.beat(worker, nowMs(), lagMs);
    serving.closeAsked();
  });
  prepare(first);
  void serving.commit();
}

function prepare(next: Generation): void {
  if (proxy === null) return;
  generation = next.number;
  const opened = proxy.prepare(next);
  if ("code" in opened) tell({ kind: "cannot-listen", generation, ...opened });
  else tell({ kind: "listening", generation, ports: opened });
}

function commit(): void {
  const before = proxy?.generation;
  void proxy?.commit().then(() => {
    if (before !== undefined) tell({ kind: "settled", generation: before });
  });
  tell({ kind: "committed", generation });
}

async function drain(): Promise<void> {
  await proxy?.drain();
  accessLines?.flush();
  tell({ kind: "drained" });
}

function tell(message: FromWorker): void {
  self.postMessage(message);
}
