import { afterAll, expect, test } from "bun:test";

import * as exercises from "./max-in-flight-exercises.ts";
import { Threads } from "./threads.ts";

const threads = new Threads(new URL("./max-in-flight-exercises.ts", import.meta.url));
afterAll(() => threads.stop());

test("no upstream ever has more in flight than its bound, whoever chooses, and in the end none", async () => {
  const { buffer } = await threads.run("fill", exercises.BYTES);
  const memory = exercises.memoryOf(buffer);
  expect(exercises.BOUNDS.map((_, upstream) => memory.inFlight.read(upstream))).toEqual([0, 0, 0]);
});
