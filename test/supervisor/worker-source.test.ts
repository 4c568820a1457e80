import { expect, test } from "bun:test";

import { WorkerSource } from "../../src/supervisor/worker-source.ts";
import { BIRTHS } from "../support/mortal-worker-channel.ts";
import { eventually } from "../support/wait.ts";

test("a worker that is begun comes up before it is asked for, and is given once", async () => {
  let births = 0;
  const channel = new BroadcastChannel(BIRTHS);
  channel.onmessage = () => births++;
  const source = new WorkerSource(new URL("../support/announced-worker.ts", import.meta.url));
  source.begin();
  await eventually("it is there", () => births === 1);
  const workers = [source.next(), source.next()];
  for (const worker of workers) worker.tell({ kind: "end" });
  await Promise.all(workers.map((worker) => worker.drained));
  await eventually("the other one was new", () => births >= 2);
  expect(births).toBe(2);
  channel.close();
});

test("a worker that ended before anybody listened to it says so at once", async () => {
  const worker = new WorkerSource(new URL("../support/stillborn-worker.ts", import.meta.url)).next();
  await worker.drained;
  const ends: string[] = [];
  worker.listen({ onMessage() {}, onEnd: (reason) => ends.push(reason) });
  expect(ends).toEqual(["it ended by itself"]);
});
