import { afterAll, expect, test } from "bun:test";

import { refusedUntilMs } from "../../src/balancer/breaker.ts";
import { upstreamStatus } from "../../src/balancer/status.ts";
import { BREAKER } from "../balancer/setup.ts";
import * as exercises from "./balancer-exercises.ts";
import type { Move, Seen } from "./balancer-exercises.ts";
import { SEED, Threads } from "./threads.ts";

const threads = new Threads(new URL("./balancer-exercises.ts", import.meta.url));
afterAll(() => threads.stop());

const total = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);

test("rotation: four threads together get exact shares", async () => {
  const { results } = await threads.run<number[][]>("rotate", exercises.BYTES);
  const shares = [0, 1].map((group) =>
    exercises.WEIGHTS.map((_, upstream) => total(results.map((thread) => thread[group]![upstream]!))),
  );
  const each = 4 * exercises.CYCLES;
  expect(shares).toEqual([
    exercises.WEIGHTS.map(() => each),
    exercises.WEIGHTS.map((weight) => weight * each),
  ]);
});

test("response_aware: threads do not herd, no upstream ever gets two ahead of another", async () => {
  const { buffer } = await threads.run("claimByScore", exercises.BYTES);
  const memory = exercises.memoryOf(buffer);
  const each = (4 * exercises.CLAIMS) / exercises.WEIGHTS.length;
  expect(exercises.WEIGHTS.map((_, upstream) => memory.inFlight.read(upstream))).toEqual(
    exercises.WEIGHTS.map(() => each),
  );
});

test("breaker: never too many probes, no cool-down cut short, every transition told and counted once", async () => {
  const { results, buffer } = await threads.run<Move[]>("callThroughBreaker", exercises.BYTES);
  const moves = results.flat().sort((a, b) => a.atMs - b.atMs);
  const at = (from: string | null, to: string) =>
    moves.filter((move) => move.to === to && (from === null || move.from === from)).map(({ atMs }) => atMs);
  const [opened, halfOpened, closed] = [at(null, "open"), at(null, "half_open"), at(null, "closed")];
  const status = upstreamStatus(exercises.memoryOf(buffer), { id: 0, breaker: BREAKER }, 0).breaker!;
  const hint = `FUZZ_SEED=${SEED}`;
  expect([opened.length, halfOpened.length, closed.length], hint).toEqual([
    status.opened,
    status.halfOpened,
    status.closed,
  ]);
  // The states follow one another in the one possible order, so the counts of the moves can only differ by the last.
  expect(opened.length - halfOpened.length, hint).toBe(status.state === "open" ? 1 : 0);
  expect(halfOpened.length - closed.length - at("half_open", "open").length, hint).toBe(
    status.state === "half_open" ? 1 : 0,
  );
  // Both ways out of half-open were taken, or this has shown little.
  expect(closed.length, hint).toBeGreaterThan(3);
  expect(at("half_open", "open").length, hint).toBeGreaterThan(3);
  for (const [i, atMs] of halfOpened.entries()) {
    expect(atMs, hint).toBeGreaterThanOrEqual(opened[i]! + 1_000);
    if (opened[i + 1] !== undefined) expect(opened[i + 1]!, hint).toBeGreaterThanOrEqual(atMs);
  }
});

test("everything at once: what is in flight is what is held, and nothing once the threads are gone", async () => {
  const { results, buffer } = await threads.run<Seen>("useEverything", exercises.BYTES);
  const memory = exercises.memoryOf(buffer);
  const inFlight = () => exercises.WEIGHTS.map((_, upstream) => memory.inFlight.read(upstream));
  const hint = `FUZZ_SEED=${SEED}`;
  expect(inFlight(), hint).toEqual(
    exercises.WEIGHTS.map((_, i) => total(results.map(({ held }) => held[i]!))),
  );
  expect(total(inFlight()), hint).toBe(20);
  for (let worker = 0; worker < 4; worker++) memory.giveBackWorker(worker);
  expect(inFlight()).toEqual(exercises.WEIGHTS.map(() => 0));
  const upstreams = exercises.planOf(BREAKER).upstreams;
  const statuses = upstreams.map((upstream) => upstreamStatus(memory, upstream, 1e9).breaker!);
  const counted = statuses.map(({ opened, halfOpened, closed }) => opened + halfOpened + closed);
  expect(total(counted), hint).toBe(total(results.map(({ moves }) => moves)));
  expect(total(counted), hint).toBeGreaterThan(100);
  // No slot was lost: after the last cool-down each upstream can be probed.
  for (const { id, breaker } of upstreams) expect(refusedUntilMs(memory, id, breaker!, 1e9), hint).toBeNull();
});
