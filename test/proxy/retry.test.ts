import { describe, expect, test } from "bun:test";

import type { Outlook } from "../../src/balancer/group.ts";
import {
  type AttemptEnd,
  backoffMs,
  isRetriedStatus,
  type Left,
  type NextStep,
  nextStep,
} from "../../src/proxy/retry.ts";
import type { Reach } from "../../src/proxy/transport/transport.ts";
import { Random } from "../support/random.ts";
import { retryPlan } from "./plans.ts";

const RETRY = retryPlan({ attempts: 2, initialMs: 500 });
const LONG_MS = 300_000;

const failed = (reach: Reach): AttemptEnd => ({ reach, timedOut: false });
const timedOut = (reach: Reach): AttemptEnd => ({ reach, timedOut: true });
const status = (code: number, wishMs: number | null = null): AttemptEnd => ({ status: code, wishMs });

/** The upstream of the last attempt is alone, or there is one that was not tried. */
const ALONE: Outlook = { untried: false, last: 0, others: null };
const UNTRIED: Outlook = { untried: true, last: 0, others: 0 };

/** No jitter: the whole back-off. */
function step(end: AttemptEnd, changes: Partial<Left> = {}) {
  return nextStep(end, { retry: RETRY, retries: 0, timeMs: LONG_MS, upstreams: ALONE, ...changes }, 0);
}
const GIVE_UP: NextStep = { kind: "give-up" };
const AT_ONCE: NextStep = { kind: "retry", waitMs: null };
const after = (waitMs: number): NextStep => ({ kind: "retry", waitMs });

const reaches: Reach[] = ["not-connected", "nothing-sent", "sent", "head-received", "body-begun"];

describe("what comes after an attempt that failed", () => {
  const cases: [Reach, retry: boolean, retries: number, untried: boolean, NextStep][] = [
    // Nothing was sent: another upstream takes over, with retries or without, and however many there were.
    ["not-connected", false, 0, true, { kind: "failover" }],
    ["nothing-sent", false, 0, true, { kind: "failover" }],
    ["not-connected", true, 0, true, { kind: "failover" }],
    ["nothing-sent", true, 2, true, { kind: "failover" }],
    // No other is left: the same again is a retry.
    ["not-connected", false, 0, false, GIVE_UP],
    ["nothing-sent", true, 1, false, after(1000)],
    ["not-connected", true, 2, false, GIVE_UP],
    // Something was sent: work may be repeated, so that is a retry, and must be wanted.
    ["sent", false, 0, true, GIVE_UP],
    ["head-received", false, 0, true, GIVE_UP],
    ["body-begun", false, 0, true, GIVE_UP],
    ["sent", true, 0, true, AT_ONCE],
    ["head-received", true, 1, true, AT_ONCE],
    ["body-begun", true, 1, true, AT_ONCE],
    ["sent", true, 0, false, after(500)],
    ["body-begun", true, 1, false, after(1000)],
    ["sent", true, 2, true, GIVE_UP],
    ["sent", true, 2, false, GIVE_UP],
  ];
  test.each(cases)("%s, retries on: %p, made: %p, another is left: %p: %j", (...row) => {
    const [reach, retry, retries, untried, expected] = row;
    const left = { retry: retry ? RETRY : null, retries, upstreams: untried ? UNTRIED : ALONE };
    expect(step(failed(reach), left)).toEqual(expected);
  });

  test.each(reaches)("%s, since the time was up: nothing", (reach) => {
    for (const retry of [RETRY, null])
      for (const upstreams of [ALONE, UNTRIED])
        expect(step(timedOut(reach), { retry, upstreams })).toEqual(GIVE_UP);
  });

  test("a wait for which there is no time is not begun, but another upstream is asked at once", () => {
    for (const end of [failed("sent"), status(500)]) {
      expect(step(end, { timeMs: 500 })).toEqual(GIVE_UP);
      expect(step(end, { timeMs: 501 })).toEqual(after(500));
      expect(step(end, { timeMs: 0, upstreams: UNTRIED })).toEqual(AT_ONCE);
    }
  });
});

describe("what comes after an answer", () => {
  const retried = [408, 429, 500, 502, 503, 504, 529];

  test("another attempt, after just these statuses", () => {
    const all = Array.from({ length: 400 }, (_, at) => 200 + at);
    expect(all.filter(isRetriedStatus)).toEqual(retried);
    for (const code of all) {
      expect(step(status(code))).toEqual(retried.includes(code) ? after(500) : GIVE_UP);
      expect(step(status(code), { upstreams: UNTRIED })).toEqual(retried.includes(code) ? AT_ONCE : GIVE_UP);
    }
  });

  test("nothing where retries are off or used up", () => {
    for (const code of retried) {
      for (const upstreams of [ALONE, UNTRIED]) {
        expect(step(status(code), { upstreams, retry: null })).toEqual(GIVE_UP);
        expect(step(status(code), { upstreams, retries: 1 }).kind).toBe("retry");
        expect(step(status(code), { upstreams, retries: 2 })).toEqual(GIVE_UP);
      }
    }
  });

  const waits: [wishMs: number | null, retries: number, timeMs: number, waitMs: number | null][] = [
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
    (wishMs, retries, timeMs, waitMs) => {
      const expected = waitMs === null ? GIVE_UP : after(waitMs);
      expect(step(status(429, wishMs), { retries, timeMs })).toEqual(expected);
    },
  );
});

describe("when all were tried, the first that may be tried again", () => {
  const cases: [wishMs: number | null, last: number | null, others: number | null, waitMs: number | null][] =
    [
      // Another one is free: it is not for it that the last one asks to wait. But the back-off applies.
      [null, 0, 0, 500],
      [60_000, 60_000, 0, 500],
      [20_000, 20_000, 3000, 3000],
      [100, 100, 0, 100],
      // The last one is first.
      [2000, 2050, 9000, 2050],
      [null, 0, 9000, 500],
      // Its rest is longer than it says: another request was told so.
      [2000, 7000, 9000, 7000],
      [null, 6000, 40_000, 6000],
      // The last one that works is tried though it rests: of its words the wish is obeyed, and no more.
      [null, 40_000, null, 500],
      [2000, 7000, null, 2000],
      // None will be back in time.
      [40_000, 40_000, 40_000, null],
      [null, null, 40_000, null],
      // Breakers are not waited for.
      [null, null, null, null],
      [2000, null, null, null],
      [null, null, 1000, 1000],
    ];
  test.each(cases)(
    "wish %p, last back in %p ms, others in %p: a wait of %p",
    (wishMs, last, others, waitMs) => {
      const upstreams = { untried: false, last, others };
      expect(step(status(429, wishMs), { upstreams })).toEqual(waitMs === null ? GIVE_UP : after(waitMs));
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
    const left = { retry: RETRY, retries: 0, timeMs: LONG_MS, upstreams: ALONE };
    expect(nextStep(failed("sent"), left, 0.5)).toEqual(after(375));
    expect(nextStep(failed("not-connected"), { ...left, retries: 1 }, 1)).toEqual(after(500));
    expect(nextStep(status(503), left, 0.5)).toEqual(after(375));
    expect(nextStep(status(503, 800), left, 0.5)).toEqual(after(800));
  });
});
