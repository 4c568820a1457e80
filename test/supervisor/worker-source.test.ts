import { expect, test } from "bun:test";

import { WorkerSource } from "../../src/supervisor/worker-source.ts";

const stillborn = new URL("../support/stillborn-worker.ts", import.meta.url);

test("a worker that was begun early is given once", () => {
  const source = new WorkerSource(stillborn);
  source.begin();
  expect(source.next()).not.toBe(source.next());
});

test("a worker that ended before anybody listened to it says so at once", async () => {
  const source = new WorkerSource(stillborn);
  source.begin();
  const worker = source.next();
  await worker.drained;
  const ends: string[] = [];
  worker.listen({ onMessage() {}, onEnd: (reason) => ends.push(reason) });
  expect(ends).toEqual(["it ended by itself"]);
});
