import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import type { Subprocess } from "bun";

import { configOf, TRANSPORTS } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

/** Streams that have begun when the upstream dies, and requests that wait for the first byte of theirs. */
const BEGUN = 140;
const WAITING = 60;
/** Longer than the upstream is away, so that no probe fails. */
const COOLDOWN_S = 8;
const names = ["a", "b", "c"] as const;
type Name = (typeof names)[number];

const ports = new Map<Name, number>();
const upstreams = new Map<Name, Subprocess>();
let proxy: RunningProxy;

async function startUpstreamProcess(name: Name): Promise<void> {
  const child = Bun.spawn(
    [process.execPath, `${import.meta.dir}/../support/upstream-process.ts`, name, String(ports.get(name))],
    { stdout: "pipe", stderr: "inherit" },
  );
  upstreams.set(name, child);
  for await (const _ of child.stdout) break;
}

beforeAll(async () => {
  for (const name of names) ports.set(name, unusedPort());
  await Promise.all(names.map(startUpstreamProcess));
});
afterAll(() => {
  for (const upstream of upstreams.values()) upstream.kill("SIGKILL");
});

/** A proxy before the three, whose breakers know nothing of them yet. */
function start(transport: string): Promise<RunningProxy> {
  const entry = (name: Name) => ({
    url: `http://127.0.0.1:${ports.get(name)}`,
    breaker: { threshold: 0.5, cooldown: COOLDOWN_S, min_requests: 5, window: 30 },
  });
  return startProxy({
    workers: 4,
    config: configOf(
      {
        three: {
          upstreams: { a: entry("a"), b: entry("b"), c: entry("c") },
          client: { retry: { enabled: true, attempts: 3, initial: 100, budget: 1 } },
        },
      },
      transport,
    ),
  });
}

interface Streamed {
  readonly upstream: string | null;
  readonly end: "complete" | "broken" | "refused";
}

/** One stream of a client. `onFirst` is called when its first bytes are there. */
async function stream(script: string, onFirst: () => void = () => {}): Promise<Streamed> {
  const response = await fetch(`${proxy.url()}/v1/chat/completions`, {
    method: "POST",
    headers: { "x-demo-script": script },
    body: JSON.stringify({ model: "demo-1", stream: true, messages: [{ role: "user", content: "Hello" }] }),
  });
  const upstream = response.headers.get("x-demo-upstream");
  if (!response.ok) return { upstream, end: "refused" };
  let text = "";
  try {
    for await (const piece of response.body!) {
      if (text === "") onFirst();
      text += Buffer.from(piece).toString();
    }
  } catch {
    return { upstream, end: "broken" };
  }
  return { upstream, end: text.includes("[DONE]") ? "complete" : "broken" };
}

/** Transitions of the breaker of an upstream, as the metrics count them. */
async function transitions(name: Name): Promise<Record<string, number>> {
  const metrics = await proxy.metrics();
  const url = `http://127.0.0.1:${ports.get(name)}`;
  const of = (metric: string) =>
    metrics.get(`llmproxy_circuitbreaker_${metric}_total{group="three",upstream="${name}",url="${url}"}`) ??
    0;
  return { opened: of("opened"), halfOpened: of("half_opened"), closed: of("closed") };
}

/** Requests in flight, over all upstreams. */
async function inFlight(): Promise<number> {
  const metrics = await proxy.metrics();
  return names.reduce(
    (sum, name) => sum + (metrics.get(`llmproxy_upstream_in_flight{upstream="${name}"}`) ?? 0),
    0,
  );
}

/** Retries of all requests, whatever for. */
async function retries(): Promise<number> {
  let sum = 0;
  for (const [series, value] of await proxy.metrics())
    if (series.startsWith("llmproxy_upstream_retries_total{")) sum += value;
  return sum;
}

describe.each(TRANSPORTS)("over the transport %s", (transport) => {
  beforeAll(async () => {
    proxy = await start(transport);
  });
  afterAll(() => proxy.kill());

  test("a killed upstream breaks only its own streams, and has its share again when it is back", async () => {
    const begun = new Set<number>();
    const running = Array.from({ length: BEGUN + WAITING }, (_, i) =>
      stream(i < BEGUN ? "tokens=150; interval=20" : "delay=4000; tokens=2; interval=1", () => begun.add(i)),
    );
    await eventually("all streams to begin, and the rest to wait", async () => {
      return begun.size === BEGUN && (await inFlight()) === BEGUN + WAITING;
    });
    expect(Math.max(...begun)).toBe(BEGUN - 1);
    upstreams.get("a")!.kill("SIGKILL");
    await upstreams.get("a")!.exited;

    // What comes meanwhile is answered by the others.
    const meanwhile = await Promise.all(Array.from({ length: 60 }, () => stream("tokens=2; interval=1")));
    expect(meanwhile.map(({ end }) => end)).toEqual(meanwhile.map(() => "complete"));
    expect(meanwhile.some(({ upstream }) => upstream === "a")).toBe(false);
    expect(await transitions("a")).toEqual({ opened: 1, halfOpened: 0, closed: 0 });
    await startUpstreamProcess("a");

    // What had begun on the killed one breaks visibly; nothing else does. What had received nothing is answered.
    const ended = await Promise.all(running);
    const broken = ended.filter(({ end }) => end !== "complete");
    expect(broken).toEqual(broken.map(() => ({ upstream: "a", end: "broken" })));
    expect(broken).toEqual(ended.slice(0, BEGUN).filter(({ upstream }) => upstream === "a"));
    expect(broken.length).toBeGreaterThan(BEGUN / 5);
    expect(await retries()).toBeGreaterThanOrEqual(WAITING / 5);

    await eventually("the breaker to close", async () => {
      await stream("tokens=1; interval=1");
      return (await transitions("a")).closed === 1;
    });
    const after = await Promise.all(Array.from({ length: 90 }, () => stream("tokens=1; interval=1")));
    const shares = names.map((name) => after.filter(({ upstream }) => upstream === name).length);
    expect(shares).toEqual([30, 30, 30]);

    expect(await transitions("a")).toEqual({ opened: 1, halfOpened: 1, closed: 1 });
    for (const name of ["b", "c"] as const)
      expect(await transitions(name)).toEqual({ opened: 0, halfOpened: 0, closed: 0 });
    await eventually("nothing to be in flight", async () => (await inFlight()) === 0);
  }, 60_000);
});
