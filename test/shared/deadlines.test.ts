import { afterEach, describe, expect, spyOn, test } from "bun:test";

import { Deadline, DeadlineQueue, deadlineQueue } from "../../src/shared/deadlines.ts";
import { Random } from "../support/random.ts";
import { eventually } from "../support/wait.ts";

/** Deadlines by name, and the names of those that expired, in order. */
function named(...names: string[]): { expired: string[]; deadlines: Deadline[] } {
  const expired: string[] = [];
  return { expired, deadlines: names.map((name) => new Deadline(() => expired.push(name))) };
}

describe("a deadline queue", () => {
  test("lets deadlines expire in the order in which they were armed, none before its time", async () => {
    const queue = new DeadlineQueue(30);
    const armedMs: number[] = [];
    const waitedMs: number[] = [];
    const order: number[] = [];
    for (let i = 0; i < 5; i++) {
      const deadline = new Deadline(() => {
        order.push(i);
        waitedMs.push(performance.now() - armedMs[i]!);
      });
      armedMs.push(performance.now());
      deadline.arm(queue);
      await Bun.sleep(5);
    }
    await eventually("all expired", () => order.length === 5);
    expect(order).toEqual([0, 1, 2, 3, 4]);
    for (const waited of waitedMs) expect(waited).toBeGreaterThanOrEqual(30);
  });

  test("forgets what is cancelled, first, last, or in between, and once expired", async () => {
    const queue = new DeadlineQueue(10);
    const { expired, deadlines } = named("a", "b", "c", "d", "e");
    for (const deadline of deadlines) deadline.arm(queue);
    for (const at of [0, 2]) deadlines[at]!.cancel();
    deadlines[2]!.cancel();
    await eventually("the last one expired", () => expired.includes("e"));
    expect(expired).toEqual(["b", "d", "e"]);
    deadlines[4]!.cancel();
    deadlines[0]!.arm(queue);
    await eventually("it can be armed again", () => expired.length === 4);
    expect(expired.at(-1)).toBe("a");
  });

  test("starts a deadline over that is armed again", async () => {
    const queue = new DeadlineQueue(20);
    const { expired, deadlines } = named("a", "b");
    for (const deadline of deadlines) deadline.arm(queue);
    deadlines[0]!.arm(queue);
    await eventually("both expired", () => expired.length === 2);
    expect(expired).toEqual(["b", "a"]);
  });

  test("holds a deadline once, whatever queue it stood in before", async () => {
    const { expired, deadlines } = named("a", "late");
    deadlines[0]!.arm(new DeadlineQueue(5));
    const queue = new DeadlineQueue(20);
    deadlines[0]!.arm(queue);
    deadlines[1]!.arm(queue);
    await eventually("the last one expired", () => expired.includes("late"));
    expect(expired).toEqual(["a", "late"]);
  });

  test("allows everything from within an expiry: arm itself, arm others, cancel the next", async () => {
    const queue = new DeadlineQueue(5);
    const log: string[] = [];
    const other = new Deadline(() => log.push("other"));
    const next = new Deadline(() => log.push("next"));
    let rounds = 0;
    const first = new Deadline(() => {
      log.push("first");
      next.cancel();
      if (++rounds < 3) first.arm(queue);
      else other.arm(queue);
    });
    first.arm(queue);
    next.arm(queue);
    await eventually("the last one expired", () => log.includes("other"));
    expect(log).toEqual(["first", "first", "first", "other"]);
  });

  test("needs one timer at a time, also for deadlines that arm themselves again", async () => {
    const timers = spyOn(globalThis, "setTimeout");
    try {
      const queue = new DeadlineQueue(2);
      let expiries = 0;
      const deadline = new Deadline(() => {
        if (++expiries < 40) deadline.arm(queue);
      });
      deadline.arm(queue);
      const before = timers.mock.calls.length;
      while (expiries < 40) await new Promise<void>((resolve) => setImmediate(resolve));
      // Two for each at most: one that comes a fraction of a millisecond early is set again.
      expect(timers.mock.calls.length - before).toBeLessThanOrEqual(80);
    } finally {
      timers.mockRestore();
    }
  });

  test("sets no timer for the thousandth deadline", () => {
    const timers = spyOn(globalThis, "setTimeout");
    try {
      const queue = new DeadlineQueue(60_000);
      const deadlines = Array.from({ length: 1000 }, () => new Deadline(() => {}));
      for (const deadline of deadlines) deadline.arm(queue);
      for (const deadline of deadlines) deadline.cancel();
      for (const deadline of deadlines) deadline.arm(queue);
      expect(timers.mock.calls).toHaveLength(1);
    } finally {
      timers.mockRestore();
    }
  });

  test("goes on when it was empty for a while", async () => {
    const queue = new DeadlineQueue(5);
    const { expired, deadlines } = named("a", "b");
    for (const [at, deadline] of deadlines.entries()) {
      deadline.arm(queue);
      await eventually("it expired", () => expired.length === at + 1);
      await Bun.sleep(15);
    }
    expect(expired).toEqual(["a", "b"]);
  });

  test("is right for thousands, armed, armed again and cancelled at random", async () => {
    const random = new Random();
    await random.run(async () => {
      const queue = new DeadlineQueue(25);
      const counts = new Array<number>(5000).fill(0);
      const order: number[] = [];
      const deadlines = counts.map(
        (_, at) =>
          new Deadline(() => {
            counts[at]!++;
            order.push(at);
          }),
      );
      // The order in which they stand to expire: what was armed last comes last.
      const armed = new Set<number>();
      for (let step = 0; step < 20_000; step++) {
        const at = random.below(deadlines.length);
        armed.delete(at);
        if (random.below(4) === 0) deadlines[at]!.cancel();
        else {
          deadlines[at]!.arm(queue);
          armed.add(at);
        }
      }
      const expected = [...armed];
      await eventually("all expired", () => order.length >= expected.length);
      await Bun.sleep(30);
      expect(order).toEqual(expected);
      expect(Math.max(...counts)).toBe(1);
    });
  }, 60_000);
});

describe("deadlines of one duration", () => {
  test("share a queue", () => {
    expect(deadlineQueue(123)).toBe(deadlineQueue(123));
    expect(deadlineQueue(123)).not.toBe(deadlineQueue(124));
    expect(deadlineQueue(123).durationMs).toBe(123);
  });

  let child: Bun.Subprocess | null = null;
  afterEach(() => child?.kill());

  test("do not keep a process alive", async () => {
    const script = `import { Deadline, deadlineQueue } from ${JSON.stringify(
      new URL("../../src/shared/deadlines.ts", import.meta.url).pathname,
    )}; new Deadline(() => {}).arm(deadlineQueue(3_600_000)); console.log("armed");`;
    child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    expect(await new Response(child.stdout as ReadableStream).text()).toBe("armed\n");
    expect(await child.exited).toBe(0);
  }, 60_000);
});
