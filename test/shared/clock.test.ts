import { afterEach, describe, expect, test } from "bun:test";

import { alignClock, ClockAlignment, nowMs } from "../../src/shared/clock.ts";

afterEach(() => alignClock(performance.now()));

describe("the clock", () => {
  test("takes over the reading that it is aligned with, and goes on from there", () => {
    for (const readingMs of [0, 1_000_000, 12.5]) {
      alignClock(readingMs);
      const first = nowMs();
      expect(first).toBeGreaterThanOrEqual(readingMs);
      expect(first).toBeLessThan(readingMs + 5000);
      expect(nowMs()).toBeGreaterThanOrEqual(first);
    }
  });

  test("agrees with that of another thread once that is aligned, though each thread's own starts at zero", async () => {
    // So that the threads' own readings are far apart.
    alignClock(performance.now() + 1_000_000);
    using worker = workerWithClock();
    let before = nowMs();
    for (let round = 0; round < 5; round++) {
      const there = await worker.read(round === 0 ? before : null);
      const after = nowMs();
      expect(there).toBeGreaterThanOrEqual(before);
      expect(there).toBeLessThanOrEqual(after);
      // It is behind by the time that the message took at most.
      before = round === 0 ? there : before;
    }
  });
});

/** A thread that aligns its clock where a reading is sent, and tells its own. */
function workerWithClock(): { read(align: number | null): Promise<number> } & Disposable {
  const clock = new URL("../../src/shared/clock.ts", import.meta.url).href;
  const script = `
    import { alignClock, nowMs } from ${JSON.stringify(clock)};
    self.onmessage = ({ data }) => {
      if (data !== null) alignClock(data);
      postMessage(nowMs());
    };`;
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "application/typescript" })));
  return {
    read: (align) =>
      new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data as number);
        worker.onerror = (event) => reject(new Error(event.message));
        worker.postMessage(align);
      }),
    [Symbol.dispose]: () => worker.terminate(),
  };
}

describe("the alignment of a thread's clock", () => {
  test("goes by the reading that came back soonest, half way", () => {
    const alignment = new ClockAlignment();
    let soonestMs = Infinity;
    const wait = (ms: number) => {
      for (const endMs = performance.now() + ms; performance.now() < endMs;);
    };
    /** Takes a reading of a clock that is 1,000 s ahead, which was read right after it was asked for. */
    const read = (ms: number) => {
      const askedMs = performance.now();
      alignment.asking();
      const reading = performance.now() + 1_000_000;
      wait(ms);
      const enough = alignment.take(reading);
      soonestMs = Math.min(soonestMs, performance.now() - askedMs);
      return enough;
    };
    for (const ms of [30, 3, 40, 20, 5, 9, 7, 8]) expect(read(ms)).toBe(false);
    expect(read(20)).toBe(true);
    const offMs = nowMs() - performance.now() - 1_000_000;
    expect(Math.abs(offMs)).toBeLessThanOrEqual(soonestMs / 2 + 0.01);
  });
});
