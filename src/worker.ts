// Entry of a worker thread: waits for the supervisor's word, opens the listeners, serves until it is told to drain.
import { SharedMemory } from "./memory/shared-memory.ts";
import { LineBatcher } from "./observe/line-batcher.ts";
import { logError, setLog } from "./observe/log.ts";
import { watchLoop } from "./observe/loop-lag.ts";
import { Recorder } from "./observe/recorder.ts";
import { WorkerProxy } from "./proxy/worker-proxy.ts";
import { ClockAlignment, nowMs } from "./shared/clock.ts";
import type { FromWorker, ToWorker } from "./supervisor/messages.ts";

declare const self: Worker;

type Start = Extract<ToWorker, { kind: "start" }>;

const clock = new ClockAlignment();
let start: Start | null = null;
let proxy: WorkerProxy | null = null;
let accessLines: LineBatcher | null = null;

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
      else if (start !== null && proxy === null) proxy = serve(start);
      break;
    case "drain":
      void drain();
      break;
  }
};

// A bug in one request must not take the others of this thread with it.
process.on("unhandledRejection", (error) => logError("unhandled rejection", {}, error));
process.on("uncaughtException", (error) => logError("uncaught exception", {}, error));

function askForClock(): void {
  clock.asking();
  tell({ kind: "clock?" });
}

function serve({ plan, memory, size, worker, ports }: Start): WorkerProxy {
  const shared = SharedMemory.over(memory, size);
  const recorder = new Recorder(shared.series.row(worker), (notices) => tell({ kind: "series", notices }));
  const dropped = recorder.counter("llmproxy_access_log_dropped_lines_total");
  const batcher = new LineBatcher(
    (lines) => tell({ kind: "access", lines }),
    () => shared.workers.logCharsTaken(worker),
    (lines) => dropped.add(lines),
  );
  accessLines = batcher;
  const serving = new WorkerProxy(plan, shared, worker, recorder, (line) => batcher.add(line));
  watchLoop((lagMs) => {
    shared.workers.beat(worker, nowMs(), lagMs);
    serving.closeAsked();
  });
  const opened = serving.open(ports);
  if ("code" in opened) tell({ kind: "cannot-listen", ...opened });
  else tell({ kind: "listening", ports: opened });
  return serving;
}

async function drain(): Promise<void> {
  await proxy?.drain();
  accessLines?.flush();
  tell({ kind: "drained" });
}

function tell(message: FromWorker): void {
  self.postMessage(message);
}
