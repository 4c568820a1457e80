import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";

import { median } from "../../scripts/bench/statistics.ts";
import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { connectionsMax } from "../../src/supervisor/environment.ts";
import { ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { canReadMemory, residentBytes } from "../support/process-memory.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";
import type { Attack, Progress } from "./limits-attacker.ts";

setDefaultTimeout(120_000);

const KB = 1024;
const body = JSON.stringify({ model: "demo-1", messages: [{ role: "user", content: "Hello" }] });
const WORKERS = 2;
const CLIENTS = 4;
const REQUESTS_EACH = 250;
/** Calm and attack take turns, so that whatever else this machine does is felt by both. */
const ROUNDS = 3;
/** What an attack does shows in every round; what the machine does is gone after some. */
const ROUNDS_MAX = 15;
const IDLE_COUNT = 10_000;
/** Files of the proxy, and of this process, that are not connections of an attack. */
const OTHER_FILES = 500;

let upstream: DemoUpstream;
let proxy: RunningProxy;
let attacker: Worker;
let progress: Progress | null = null;

beforeAll(async () => {
  upstream = startUpstream({ name: "demo", recordedMax: 0 });
  attacker = new Worker(new URL("./limits-attacker.ts", import.meta.url));
  attacker.onmessage = ({ data }: MessageEvent<Progress>) => {
    progress = data;
  };
  await eventually("the attacker is there", () => progress !== null);
  const timeout = { connect: 120 };
  // Kept connections to the upstream are no leak, but would look like one for as long as they are kept.
  const client = { keepalive: 2 };
  proxy = await startProxy({
    workers: WORKERS,
    config: configOf({
      hasty: { upstreams: { demo: upstream.url }, client, forward: { timeout: { connect: 1 } } },
      // Nobody is closed to make room for others.
      patient: {
        upstreams: { demo: upstream.url },
        client,
        forward: { timeout, limits: { connections: 2 * IDLE_COUNT } },
      },
      flooded: {
        upstreams: { flood: `http://127.0.0.1:${progress!.floodPort}` },
        client,
        forward: { timeout },
      },
    }),
  });
  // The first requests are slow for reasons of their own.
  for (let round = 0; round < 3; round++) for (const forward of ["hasty", "patient"]) await p99Ms(forward);
});
afterAll(async () => {
  attacker.terminate();
  await proxy.stop();
  upstream.stop();
});

/** Milliseconds within which 99 of 100 requests of well-behaved clients are answered. */
async function p99Ms(forward: string): Promise<number> {
  const request = requestBytes("/v1/chat/completions", { body });
  const times: number[] = [];
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      using client = await ClientConnection.open(proxy.port(forward));
      for (let i = 0; i < REQUESTS_EACH; i++) {
        const sentMs = performance.now();
        const { status } = await client.send(request).response();
        times.push(performance.now() - sentMs);
        expect(status).toBe(200);
      }
    }),
  );
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1]!;
}

async function begin(kind: Attack["kind"], port: number, count: number): Promise<void> {
  const number = progress!.number + 1;
  attacker.postMessage({ kind, port, count, number } satisfies Attack);
  const isReady = () => progress!.number === number && progress!.ready;
  await eventually(`the attack is under way (${kind})`, isReady, 60_000);
}

/** What connections and requests hold of the proxy. */
interface Held {
  readonly files: number;
  readonly bodyBytes: number;
  /** Connections and requests, of clients and to upstreams. */
  readonly inFlight: number;
}

async function held(): Promise<Held> {
  const metrics = await proxy.metrics();
  const counts = [...metrics].filter(([series]) =>
    /^llmproxy_(\w+_in_flight|http_connections)\b/.test(series),
  );
  expect(counts.length).toBeGreaterThan(4);
  return {
    files: readdirSync(`/proc/${proxy.pid}/fd`).length,
    bodyBytes: metrics.get("llmproxy_http_buffered_body_bytes")!,
    inFlight: counts.reduce((sum, [, count]) => sum + count, 0),
  };
}

/** A piece of memory for bodies is kept by each worker, and some connections to upstreams. */
const isLetGo = (now: Held, before: Held) =>
  now.inFlight === 0 && now.bodyBytes <= before.bodyBytes && now.files <= before.files + 8;

interface Given {
  readonly kind: Attack["kind"];
  readonly count: number;
  readonly attacked: string;
  /** Where the well-behaved clients are. Default: where the attack is. */
  readonly others?: string;
  /** Memory that each connection of the attack may cost. */
  readonly bytesEachMax: number;
  /** What is waited for before an attack ends. */
  readonly until?: (progress: Progress) => boolean;
}

/** Runs an attack; others must not suffer from it, and in the end nothing of it may be left. */
async function expectHarmless({ kind, count, attacked, others, bytesEachMax, until }: Given): Promise<void> {
  const forward = others ?? attacked;
  let before = await held();
  await eventually("nothing is left of earlier requests", async () => (before = await held()).inFlight === 0);
  const [calm, besieged]: [number[], number[]] = [[], []];
  let bytesEach = 0;
  for (let round = 1; ; round++) {
    calm.push(await p99Ms(forward));
    // Behind the calm load: its garbage is not the attack's doing.
    const memoryBefore = residentBytes(proxy.pid);
    await begin(kind, proxy.port(attacked), count);
    besieged.push(await p99Ms(forward));
    if (until !== undefined)
      await eventually("the attack has had its effect", () => until(progress!), 60_000);
    bytesEach = Math.max(bytesEach, (residentBytes(proxy.pid) - memoryBefore) / count);
    await begin("stop", 0, 0);
    await eventually("all is let go", async () => isLetGo(await held(), before), 30_000);
    if (round >= ROUNDS && median(besieged)! < 2 * median(calm)!) break;
    if (round === ROUNDS_MAX) throw new Error(`p99 in ms: ${calm.join(" ")} became ${besieged.join(" ")}`);
  }
  expect(bytesEach).toBeLessThan(bytesEachMax);
}

describe.skipIf(!canReadMemory)("others are served as before, and nothing is left behind, when", () => {
  test("10,000 clients, or as many as there are files for, connect and say nothing", async () => {
    const count = Math.min(IDLE_COUNT, connectionsMax(WORKERS) - OTHER_FILES);
    if (count < IDLE_COUNT) console.log(`idle connections: ${count}, as there are files for no more`);
    // None was closed to make room for another.
    const until = ({ open, closed }: Progress) => open === count && closed === 0;
    await expectHarmless({ kind: "idle", count, attacked: "patient", bytesEachMax: 8 * KB, until });
  });

  test("1,000 clients send their heads byte by byte", async () => {
    const until = ({ closed }: Progress) => closed >= 1_000;
    await expectHarmless({ kind: "heads", count: 1_000, attacked: "hasty", bytesEachMax: 64 * KB, until });
  });

  test("1,000 clients send their bodies byte by byte", async () => {
    await expectHarmless({ kind: "bodies", count: 1_000, attacked: "patient", bytesEachMax: 64 * KB });
  });

  test("1,000 clients a second vanish amid garbage", async () => {
    const until = ({ closed }: Progress) => closed >= 1_000;
    await expectHarmless({
      kind: "garbage",
      count: 1_000,
      attacked: "patient",
      bytesEachMax: 64 * KB,
      until,
    });
    expect(proxy.stderr).not.toContain(" ERROR ");
  });

  test("50 clients ask for large answers and read them piece by piece", async () => {
    await expectHarmless({
      kind: "readers",
      count: 50,
      attacked: "flooded",
      others: "patient",
      bytesEachMax: 4096 * KB,
    });
  });
});
