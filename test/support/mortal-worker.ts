// The entry of a worker thread as the product has it, which a test can end from outside.
import "../../src/worker.ts";
import type { ToWorker } from "../../src/supervisor/messages.ts";
import { type Death, DEATHS } from "./mortal-worker-channel.ts";

declare const self: Worker;

let number = -1;
self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === "start") number = data.worker;
});

new BroadcastChannel(DEATHS).onmessage = (event) => {
  const death = event.data as Death;
  if (death.worker === number) process.exit(death.exitCode);
};
