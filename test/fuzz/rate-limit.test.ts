import { afterAll, describe, expect, test } from "bun:test";

import { Region } from "../../src/memory/region.ts";
import * as exercises from "./rate-limit-exercises.ts";
import type { Admitted } from "./rate-limit-exercises.ts";
import { SEED, Threads } from "./threads.ts";

const threads = new Threads(new URL("./rate-limit-exercises.ts", import.meta.url));
afterAll(() => threads.stop());

const bytesOf = (make: (region: Region) => unknown) => Region.measure((region) => void make(region));

let decisions = 0;

describe.each(["narrow", "stale", "wide"] as const)("in a %s table", (name) => {
  const course = exercises.courseOf(name);

  test("every client gets exactly its due, from all threads together", async () => {
    const { results } = await threads.run<Admitted>(name, bytesOf(exercises.makeTable(course)));
    for (const { untracked } of results) expect(untracked, `FUZZ_SEED=${SEED}`).toBe(0);
    decisions += results.reduce((sum, result) => sum + result.decisions, 0);

    // A bucket of tokens for each client, and its last moment; all ask for more than there is.
    const tokens = new Map<number, [tokens: number, ms: number]>();
    exercises.momentsOf(course, SEED).forEach((nowMs, round) => {
      exercises.clientsOf(course, round).forEach((client, place) => {
        const [before, thenMs] = tokens.get(client) ?? [course.burst, nowMs];
        const now = Math.min(course.burst, before + ((nowMs - thenMs) * course.perSecond) / 1000);
        const got = results.reduce((sum, { admitted }) => sum + admitted[round]![place]!, 0);
        tokens.set(client, [now - got, nowMs]);
        // Never more; and less only in the tenth of a microsecond in which the last token has come.
        const due = Math.floor(now + 1e-9);
        if (got !== due && !(got === due - 1 && now - due < 1e-3))
          throw new Error(`FUZZ_SEED=${SEED} round ${round} client ${client}: got ${got} of ${now}`);
      });
    });
  });
});

test("with clocks that are apart nobody gets more than burst + rate x time, nor less", async () => {
  type Result = ReturnType<typeof exercises.free>;
  const { results } = await threads.run<Result>("free", bytesOf(exercises.makeFree));
  const { perSecond, burst, clients, skewMs } = exercises.FREE;
  const firstMs = Math.min(...results.map((result) => result.firstMs));
  const lastMs = Math.max(...results.map((result) => result.lastMs));
  for (let client = 0; client < clients; client++) {
    const got = results.reduce((sum, { admitted }) => sum + admitted[client]!, 0);
    const most = burst + ((lastMs - firstMs) * perSecond) / 1000;
    expect(got, `FUZZ_SEED=${SEED}`).toBeLessThanOrEqual(most + 0.01);
    // The clock that is ahead of all others may not be the last to ask.
    expect(got, `FUZZ_SEED=${SEED}`).toBeGreaterThan(most - (results.length * skewMs * perSecond) / 1000 - 2);
  }
  decisions += results.length * exercises.FREE.decisions;
});

test("that was a million decisions", () => {
  expect(decisions).toBeGreaterThanOrEqual(1_000_000);
});
