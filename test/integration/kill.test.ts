import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import type { Subprocess } from "bun";

import { configOf, TRANSPORTS } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

const STREAMS = 200;
const COOLDOWN_S = 1;
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

describe.each(TRANSPORTS)("over the transport %s", (transport) => {
  beforeAll(async () => {
    proxy = await start(transport);
  });
  afterAll(() => proxy.kill());

  test("a killed upstream breaks only its own streams, and has its share again when it is back", async () => {
    let begun = 0;
    const running = Array.from({ length: STREAMS }, () => stream("tokens=60; interval=20", () => begun++));
    await eventually("all streams to begin", () => begun === STREAMS);
    upstreams.get("a")!.kill("SIGKILL");
    await upstreams.get("a")!.exited;
    const ended = await Promise.all(running);

    // What had begun on the killed one breaks visibly; nothing else does.
    for (const { upstream, end } of ended)
      expect({ upstream, end }).toEqual({ upstream, end: upstream === "a" ? "broken" : "complete" });
    expect(ended.filter(({ upstream }) => upstream === "a").length).toBeGreaterThan(STREAMS / 5);

    // What comes meanwhile is answered by the others.
    const meanwhile = await Promise.all(Array.from({ length: 60 }, () => stream("tokens=2; interval=1")));
    expect(meanwhile.map(({ end }) => end)).toEqual(meanwhile.map(() => "complete"));
    expect(meanwhile.some(({ upstream }) => upstream === "a")).toBe(false);
    expect((await transitions("a")).opened).toBeGreaterThanOrEqual(1);

    await startUpstreamProcess("a");
    const before = await transitions("a");
    await eventually("the breaker to close", async () => {
      await stream("tokens=1; interval=1");
      return (await transitions("a")).closed === before["closed"]! + 1;
    });
    const after = await Promise.all(Array.from({ length: 90 }, () => stream("tokens=1; interval=1")));
    const shares = names.map((name) => after.filter(({ upstream }) => upstream === name).length);
    expect(shares).toEqual([30, 30, 30]);

    // Between the kill and the return there was nobody to close it: as many openings as failed probes and one more.
    const { opened, halfOpened, closed } = await transitions("a");
    expect({ closed, halfOpened }).toEqual({ closed: 1, halfOpened: opened! });
    expect(await transitions("b")).toEqual({ opened: 0, halfOpened: 0, closed: 0 });
  }, 60_000);
});
