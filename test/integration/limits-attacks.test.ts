import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";

import type { Subprocess } from "bun";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, type Keys } from "../support/config.ts";
import { LineLog } from "../support/line-log.ts";
import { canReadMemory, residentBytes } from "../support/process-memory.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";
import type { Attack, Progress } from "./limits-attacker.ts";

setDefaultTimeout(120_000);

const MB = 1024 * 1024;
const body = JSON.stringify({ model: "demo-1", messages: [{ role: "user", content: "Hello" }] });
/** Whatever else this machine does is not to be taken for the attack's doing. */
const SLACK_MS = 20;
const MEASURES = 4;

let upstream: DemoUpstream;
/** What the attackers ask for comes from a process of its own. */
let flood: Subprocess<"ignore", "pipe", "inherit">;
let proxy: RunningProxy;
let attacker: Worker;
let progress: Progress = { open: 0, closed: 0, ready: false };

beforeAll(async () => {
  upstream = startUpstream({ name: "demo", recordedMax: 0 });
  const script = new URL("../support/upstream-process.ts", import.meta.url).pathname;
  flood = Bun.spawn([process.execPath, script, "flood", "0"], { stdout: "pipe", stderr: "inherit" });
  const printed = new LineLog(flood.stdout);
  await printed.until((text) => text.startsWith("listening "));
  const floodUrl = `http://127.0.0.1:${Number(printed.text.slice("listening ".length))}`;
  // Kept connections to the upstream are no leak, but would look like one for as long as they are kept.
  const client = { keepalive: 2 };
  const group = (forward: Keys) => ({ upstreams: { flood: floodUrl }, forward, client });
  proxy = await startProxy({
    workers: 2,
    config: configOf({
      good: { upstreams: { demo: upstream.url }, client },
      hasty: group({ timeout: { connect: 1 }, limits: { write_stall: 2 } }),
      patient: group({ timeout: { connect: 120 } }),
    }),
  });
  attacker = new Worker(new URL("./limits-attacker.ts", import.meta.url));
  attacker.onmessage = ({ data }: MessageEvent<Progress>) => {
    progress = data;
  };
  // The first requests are slow for reasons of their own.
  for (let round = 0; round < 3; round++) await worstOf99();
});
afterAll(async () => {
  attacker.terminate();
  await proxy.stop();
  upstream.stop();
  flood.kill();
});

/** Milliseconds below which 99 of 100 requests of well-behaved clients are answered. */
async function worstOf99(): Promise<number> {
  const request = requestBytes("/v1/chat/completions", { body });
  const times: number[] = [];
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      using client = await ClientConnection.open(proxy.port("good"));
      for (let i = 0; i < 100; i++) {
        const sentMs = performance.now();
        const { status } = await client.send(request).response();
        times.push(performance.now() - sentMs);
        expect(status).toBe(200);
      }
    }),
  );
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1]!;
}

async function worstOfRounds(): Promise<number[]> {
  const rounds: number[] = [];
  for (let round = 0; round < MEASURES; round++) rounds.push(await worstOf99());
  return rounds.toSorted((a, b) => a - b);
}

async function begin(kind: Attack["kind"], forward: string, count: number): Promise<void> {
  progress = { open: 0, closed: 0, ready: false };
  attacker.postMessage({ kind, port: proxy.port(forward), count } satisfies Attack);
  await eventually(`the attack is under way (${kind})`, () => progress.ready, 60_000);
}

/** Files that the proxy has open. */
function openFiles(): number {
  return readdirSync(`/proc/${proxy.pid}/fd`).length;
}

/** Runs an attack; others must not suffer from it, and in the end nothing of it may be left. */
async function expectHarmless(
  kind: Attack["kind"],
  forward: string,
  count: number,
  meanwhile: (before: { memory: number }) => void | Promise<void>,
): Promise<void> {
  const before = { memory: residentBytes(proxy.pid), files: openFiles() };
  const msBefore = await worstOfRounds();
  await begin(kind, forward, count);
  const msDuring = await worstOfRounds();
  await meanwhile(before);
  await begin("stop", forward, 0);
  // The best round of each: what is left is not the work of others on this machine.
  expect(msDuring[0]!, `during ${msDuring}, before ${msBefore}`).toBeLessThan(2 * msBefore[0]! + SLACK_MS);
  // Those to upstreams among them; a few may be kept for the next requests.
  await eventually("all connections are let go", () => openFiles() <= before.files + 8, 30_000);
}

function softFilesMax(): number {
  const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
  return Number(soft ?? 1024);
}

describe.skipIf(!canReadMemory)("others are served as before, and nothing is left behind, when", () => {
  test("200 clients send their heads byte by byte", async () => {
    await expectHarmless("heads", "hasty", 200, async ({ memory }) => {
      await eventually("they are closed for being late", () => progress.closed >= 200);
      expect(residentBytes(proxy.pid) - memory).toBeLessThan(50 * MB);
    });
  });

  test("200 clients send their bodies byte by byte", async () => {
    await expectHarmless("bodies", "hasty", 200, ({ memory }) => {
      expect(residentBytes(proxy.pid) - memory).toBeLessThan(50 * MB);
    });
  });

  test("100 clients ask for large answers and read nothing", async () => {
    await expectHarmless("readers", "hasty", 100, async ({ memory }) => {
      expect(residentBytes(proxy.pid) - memory).toBeLessThan(200 * MB);
      await eventually("they are let go", () => progress.closed >= 100, 30_000);
    });
  });

  test("10,000 clients, or as many as there are files for, connect and say nothing", async () => {
    const count = Math.min(10_000, Math.floor((softFilesMax() - 1_000) / 2));
    await expectHarmless("idle", "patient", count, ({ memory }) => {
      expect(progress.open).toBe(count);
      expect((residentBytes(proxy.pid) - memory) / count).toBeLessThan(16 * 1024);
    });
  });

  test("1,000 clients vanish amid garbage", async () => {
    await expectHarmless("garbage", "good", 1_000, ({ memory }) => {
      expect(residentBytes(proxy.pid) - memory).toBeLessThan(100 * MB);
    });
    expect(proxy.stderr).not.toContain(" ERROR ");
  });
});
