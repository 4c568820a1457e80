import { describe, expect, test } from "bun:test";

import { type AttemptEnd, backoffMs, isRetriedStatus, nextStep } from "../../src/proxy/retry.ts";
import type { Reach } from "../../src/proxy/transport/transport.ts";
import { Random } from "../support/random.ts";
import { retryPlan } from "./plans.ts";

const RETRY = retryPlan({ attempts: 2, initialMs: 500 });
const LONG_MS = 300_000;

const failed = (reach: Reach): AttemptEnd => ({ reach, timedOut: false });
const timedOut = (reach: Reach): AttemptEnd => ({ reach, timedOut: true });
const status = (code: number, retryAfterMs: number | null = null): AttemptEnd => ({
  status: code,
  retryAfterMs,
});

/** No jitter: the whole back-off. */
const step = (end: AttemptEnd, retry: typeof RETRY | null, retries: number, leftMs: number) =>
  nextStep(end, retry, retries, leftMs, 0);

describe("what comes after an attempt that failed", () => {
  const cases: [
    Reach,
    retry: boolean,
    retries: number,
    leftMs: number,
    kind: string,
    waitMs: number | null,
  ][] = [
    // Nothing was sent: another upstream takes over, with retries or without, and however many there were.
    ["not-connected", false, 0, LONG_MS, "failover", null],
    ["nothing-sent", false, 0, LONG_MS, "failover", null],
    ["not-connected", true, 0, LONG_MS, "failover", 500],
    ["nothing-sent", true, 1, LONG_MS, "failover", 1000],
    ["not-connected", true, 2, LONG_MS, "failover", null],
    ["not-connected", true, 0, 400, "failover", null],
    // Something was sent: work may be repeated, so that is a retry, and must be wanted.
    ["sent", false, 0, LONG_MS, "give-up", null],
    ["head-received", false, 0, LONG_MS, "give-up", null],
    ["body-begun", false, 0, LONG_MS, "give-up", null],
    ["sent", true, 0, LONG_MS, "retry", 500],
    ["head-received", true, 1, LONG_MS, "retry", 1000],
    ["body-begun", true, 1, LONG_MS, "retry", 1000],
    ["sent", true, 2, LONG_MS, "give-up", null],
    // No time to wait; an untried upstream can still be asked at once.
    ["sent", true, 0, 500, "retry", null],
    ["sent", true, 0, 501, "retry", 500],
    ["sent", true, 0, 0, "retry", null],
  ];
  test.each(cases)("%s, retries on: %p, made: %p, %p ms left: %s, after %p ms", (...row) => {
    const [reach, retry, retries, leftMs, kind, waitMs] = row;
    expect(step(failed(reach), retry ? RETRY : null, retries, leftMs)).toEqual({ kind, waitMs } as never);
  });

  const reaches: Reach[] = ["not-connected", "nothing-sent", "sent", "head-received", "body-begun"];
  test.each(reaches)("%s, since the time was up: nothing", (reach) => {
    for (const retry of [RETRY, null])
      expect(step(timedOut(reach), retry, 0, LONG_MS)).toEqual({ kind: "give-up", waitMs: null });
  });
});

describe("what comes after an answer", () => {
  const retried = [408, 429, 500, 502, 503, 504, 529];

  test("another attempt, after just these statuses", () => {
    const all = Array.from({ length: 400 }, (_, at) => 200 + at);
    expect(all.filter(isRetriedStatus)).toEqual(retried);
    for (const code of all) {
      const expected = retried.includes(code)
        ? { kind: "retry", waitMs: 500 }
        : { kind: "give-up", waitMs: null };
      expect(step(status(code), RETRY, 0, LONG_MS)).toEqual(expected as never);
    }
  });

  test("nothing where retries are off or used up", () => {
    for (const code of retried) {
      expect(step(status(code), null, 0, LONG_MS).kind).toBe("give-up");
      expect(step(status(code), RETRY, 1, LONG_MS).kind).toBe("retry");
      expect(step(status(code), RETRY, 2, LONG_MS).kind).toBe("give-up");
    }
  });

  const waits: [retryAfterMs: number | null, retries: number, leftMs: number, waitMs: number | null][] = [
    [null, 0, LONG_MS, 500],
    [null, 1, LONG_MS, 1000],
    // What the upstream asks for comes before the back-off, shorter or longer, up to 30 s.
    [0, 0, LONG_MS, 0],
    [20, 1, LONG_MS, 20],
    [30_000, 0, LONG_MS, 30_000],
    [30_001, 0, LONG_MS, null],
    [86_400_000, 0, LONG_MS, null],
    [2000, 0, 2000, null],
    [2000, 0, 2001, 2000],
  ];
  test.each(waits)(
    "asked to wait %p ms, retries made: %p, %p ms left: a wait of %p",
    (after, made, left, waitMs) => {
      expect(step(status(429, after), RETRY, made, left)).toEqual({ kind: "retry", waitMs });
    },
  );
});

describe("the back-off", () => {
  test("doubles with each retry, up to 30 s, and stays there however many there are", () => {
    const plan = retryPlan({ attempts: 100, initialMs: 500 });
    const full = [0, 1, 2, 3, 4, 5, 6, 7, 50, 99, 5000].map((retries) => backoffMs(plan, retries, 0));
    expect(full).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000, 30_000]);
  });

  test("is between a half and the whole of that, at random", async () => {
    const random = new Random();
    await random.run(async () => {
      let least = Number.POSITIVE_INFINITY;
      let most = 0;
      for (let round = 0; round < 100_000; round++) {
        const plan = retryPlan({ initialMs: 100 + random.below(9901) });
        const retries = random.below(100);
        const full = backoffMs(plan, retries, 0);
        const share = backoffMs(plan, retries, random.below(1_000_000) / 1_000_000) / full;
        expect(share > 0.5 && share <= 1).toBe(true);
        least = Math.min(least, share);
        most = Math.max(most, share);
      }
      expect(least).toBeLessThan(0.51);
      expect(most).toBeGreaterThan(0.99);
    });
  }, 60_000);

  test("of a step takes part in the jitter, and a wish of the upstream does not", () => {
    expect(nextStep(failed("sent"), RETRY, 0, LONG_MS, 0.5).waitMs).toBe(375);
    expect(nextStep(failed("not-connected"), RETRY, 1, LONG_MS, 1).waitMs).toBe(500);
    expect(nextStep(status(503), RETRY, 0, LONG_MS, 0.5).waitMs).toBe(375);
    expect(nextStep(status(503, 800), RETRY, 0, LONG_MS, 0.5).waitMs).toBe(800);
  });
});
