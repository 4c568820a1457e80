import { describe, expect, test } from "bun:test";

import { RequestControl } from "../../src/proxy/request-control.ts";
import { eventually } from "../support/wait.ts";

const LONG_MS = 60_000;

/** A control that notes what it is told. */
function watched(limitMs: number): { control: RequestControl; told: string[] } {
  const control = new RequestControl(limitMs, performance.now());
  const told: string[] = [];
  control.onGivenUp = () => told.push(String(control.givenUp));
  return { control, told };
}

describe("the control of a request", () => {
  test("gives it up when the client has gone, once, and the first reason stands", () => {
    const { control, told } = watched(LONG_MS);
    expect(control.givenUp).toBeNull();
    control.giveUp("client-gone");
    control.giveUp("timeout");
    control.giveUp("client-gone");
    expect(told).toEqual(["client-gone"]);
    expect(control.givenUp).toBe("client-gone");
  });

  test("gives it up when the time is up", async () => {
    const { control, told } = watched(15);
    await eventually("the limit", () => told.length > 0);
    expect(told).toEqual(["timeout"]);
    expect(control.leftMs()).toBeLessThanOrEqual(0);
    control.giveUp("client-gone");
    expect(control.givenUp).toBe("timeout");
  });

  test("does not, once the limit is lifted; the client may still go", async () => {
    const { control, told } = watched(10);
    const other = watched(10);
    control.liftLimit();
    await eventually("a limit of the same length", () => other.told.length > 0);
    expect(told).toEqual([]);
    control.giveUp("client-gone");
    expect(told).toEqual(["client-gone"]);
  });

  test("tells the time that has passed and that is left", async () => {
    const { control } = watched(LONG_MS);
    const left = control.leftMs();
    await Bun.sleep(5);
    expect(control.elapsedMs()).toBeGreaterThanOrEqual(4);
    expect(control.leftMs()).toBeLessThan(left);
    expect(control.elapsedMs() + control.leftMs()).toBeCloseTo(LONG_MS, 0);
    control.liftLimit();
  });
});

describe("a wait between two attempts", () => {
  test("lasts as long as it shall", async () => {
    const control = new RequestControl(LONG_MS, performance.now());
    const startMs = performance.now();
    await control.wait(20);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(19);
    expect(control.givenUp).toBeNull();
    expect(control.onGivenUp).toBeNull();
    control.liftLimit();
  });

  test("ends at once when the client goes, or the time is up", async () => {
    const gone = new RequestControl(LONG_MS, performance.now());
    const waiting = gone.wait(LONG_MS);
    gone.giveUp("client-gone");
    await waiting;
    const late = new RequestControl(10, performance.now());
    await late.wait(LONG_MS);
    expect([gone.givenUp, late.givenUp]).toEqual(["client-gone", "timeout"]);
  });

  test("is none where the request was given up before", async () => {
    const control = new RequestControl(LONG_MS, performance.now());
    control.giveUp("client-gone");
    await control.wait(LONG_MS);
    expect(control.givenUp).toBe("client-gone");
  });
});
