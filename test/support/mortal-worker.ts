// The entry of a worker thread as the product has it, which a test can end, or make deaf, from outside.
import "../../src/worker.ts";
import type { ToWorker } from "../../src/supervisor/messages.ts";
import { DEAFNESS, type Deafness, type Death, DEATHS } from "./mortal-worker-channel.ts";

declare const self: Worker;

let number = -1;
let unheard: readonly string[] = [];
const hear = self.onmessage!;
self.onmessage = function (event: MessageEvent<ToWorker>) {
  if (event.data.kind === "start") number = event.data.worker;
  if (!unheard.includes(event.data.kind)) hear.call(this, event);
};

new BroadcastChannel(DEATHS).onmessage = (event) => {
  const death = event.data as Death;
  if (death.worker === number) process.exit(death.exitCode);
};

new BroadcastChannel(DEAFNESS).onmessage = (event) => {
  const deafness = event.data as Deafness;
  if (deafness.worker === number) unheard = deafness.kinds;
};
