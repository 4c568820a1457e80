import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";

import { upstreamStatus } from "../../src/balancer/status.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { Plan } from "../../src/config/plan.ts";
import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { setLog } from "../../src/observe/log.ts";
import { nowMs } from "../../src/shared/clock.ts";
import { Supervisor } from "../../src/supervisor/supervisor.ts";
import { WorkerSource } from "../../src/supervisor/worker-source.ts";
import { canariesIn, canary } from "../support/canaries.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { DEAFNESS, type Deafness, type Death, DEATHS } from "../support/mortal-worker-channel.ts";
import { parsePrometheusText } from "../support/prometheus-text.ts";
import { errorOf, eventually } from "../support/wait.ts";

// The supervisor runs in this process, so that its workers can be ended from outside.
const deaths = new BroadcastChannel(DEATHS);
const deafness = new BroadcastChannel(DEAFNESS);
let upstream: DemoUpstream;
let supervisor: Supervisor;
let logged: string;

/** `name`: of the upstream. */
function planOf(name: string): Plan {
  const breaker = { threshold: 0.5, min_requests: 1, cooldown: 1 };
  const url = `${upstream.url}?key=${canary("query")}`;
  const auth = { type: "bearer", token: canary("token") };
  const config = configOf({ main: { upstreams: { [name]: { url, auth, breaker } } } });
  const loaded = parseConfig(JSON.stringify(config), "test", {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.errors));
  return loaded.plan;
}

const mortal = new URL("../support/mortal-worker.ts", import.meta.url);

async function start(workers: number, workerSource = new WorkerSource(mortal)): Promise<void> {
  upstream = startUpstream({ name: "demo" });
  logged = "";
  const writeLine = (line: string) => {
    logged += line;
  };
  setLog("info", writeLine);
  supervisor = new Supervisor({
    plan: planOf("demo"),
    workers,
    workerSource,
    logLevel: "info",
    writeLine,
    writeAccess() {},
    connectionsMax: () => 1000,
  });
  await supervisor.start();
}

afterEach(async () => {
  await supervisor.drain();
  upstream.stop();
  expect(canariesIn(logged)).toEqual([]);
});

function end(worker: number): void {
  deaths.postMessage({ worker, exitCode: 1 } satisfies Death);
}

function port(): number {
  return supervisor.ports[0]!;
}

function inFlight(): number {
  return upstreamStatus(supervisor.memory.balancer, supervisor.plan.upstreams[0]!, nowMs()).inFlight;
}

/** Whatever only grows, by series. */
function counters(): Map<string, number> {
  const families = [...parsePrometheusText(supervisor.board.render()).values()];
  const samples = families.filter(({ type }) => type !== "gauge").flatMap((family) => family.samples);
  return new Map(samples.map(({ name, labels, value }) => [name + JSON.stringify(labels), value]));
}

const CHAT = "/v1/chat/completions";
const body = JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "Hi" }] });

/** Streams under way, of which the clients have seen the first tokens. */
function beginStreams(count: number): Promise<ClientConnection[]> {
  const request = requestBytes(CHAT, {
    body,
    headers: ["x-demo-script", "hang=mid-stream"],
  });
  return Promise.all(
    Array.from({ length: count }, async () => {
      const client = await ClientConnection.open(port());
      return client.send(request).until((pending) => pending.includes('"content"'));
    }),
  );
}

async function answers(): Promise<void> {
  await eventually(`requests are answered again; logged was ${JSON.stringify(logged)}`, async () => {
    try {
      return (await ask(port(), "/v1/models")).status === 200;
    } catch {
      return false;
    }
  });
}

describe("a worker that dies", () => {
  test("is replaced, on the same port", async () => {
    await start(1);
    await answers();
    for (let round = 0; round < 2; round++) {
      end(0);
      await eventually("it is noticed", () => logged.split("worker died").length - 1 === round + 1);
      await answers();
    }
  });

  test.each([["while it is waited for"], ["before it is waited for"]])(
    "before it serves (%s) ends the start, with the reason",
    async (when) => {
      const source = new WorkerSource(new URL("../support/stillborn-worker.ts", import.meta.url));
      if (when === "before it is waited for") {
        const worker = source.next();
        await worker.drained;
        source.next = () => worker;
      }
      const error = await errorOf(start(1, source));
      expect(error).toMatchObject({ message: "worker 0 could not start: it ended by itself" });
      expect(logged).toContain("worker died during the start");
      expect(supervisor.state().serving).toEqual([]);
    },
  );

  test("breaks the streams that it had, visibly, and gives back what they held", async () => {
    await start(1);
    const clients = await beginStreams(20);
    expect(inFlight()).toBe(20);
    end(0);
    for (const client of clients) expect((await client.response()).complete).toBe(false);
    await answers();
    expect(inFlight()).toBe(0);
    await eventually("the upstream sees its connections close", () => upstream.counts.inFlight === 0);
  });

  test("takes nothing with it that the others hold", async () => {
    await start(2);
    const clients = await beginStreams(40);
    end(1);
    await eventually("it is noticed", () => logged.includes("worker died"));
    const isCut = (client: ClientConnection) => client.ended !== null;
    await eventually("its streams are cut", () => clients.some(isCut));
    // The streams of the dead worker end together; those of the other one go on.
    await eventually(
      "what is held is what goes on",
      () => inFlight() === clients.filter((c) => !isCut(c)).length,
    );
    expect(clients.some((client) => !isCut(client))).toBe(true);
    await answers();
    for (const client of clients) client.destroy();
    await eventually("nothing is held any longer", () => inFlight() === 0);
  });

  test("gives back the probe of a half-open breaker", async () => {
    await start(1);
    const failing = ["x-demo-script", "status=500"];
    await ask(port(), "/v1/models", { headers: failing });
    expect((await ask(port(), "/v1/models")).status).toBe(503);
    // After the cool-down the only probe hangs, and its worker dies.
    await eventually("the breaker lets a probe through", async () => {
      const probe = await ClientConnection.open(port());
      probe.send(requestBytes("/v1/models", { headers: ["x-demo-script", "hang=before-head"] }));
      const isThrough = () => upstream.counts.inFlight > 0;
      await eventually("it is refused or let through", () => probe.pending !== "" || isThrough());
      if (!isThrough()) probe.destroy();
      return isThrough();
    });
    end(0);
    await eventually("it is noticed", () => logged.includes("worker died"));
    await answers();
  });

  test("leaves all that it counted in the metrics", async () => {
    await start(2);
    const counted = JSON.stringify({ ...JSON.parse(body), stream_options: { include_usage: true } });
    for (let round = 0; round < 20; round++) await ask(port(), CHAT, { method: "POST", body: counted });
    // The verdict on a stream can come after its last byte.
    const streams = `llmproxy_llm_streams_total{"group":"main","upstream":"demo","end":"complete"}`;
    await eventually("all streams are counted", () => counters().get(streams) === 20);
    const before = counters();
    expect([...before.keys()].some((series) => series.startsWith("llmproxy_llm_tokens_total"))).toBe(true);
    // Each of the two dies twice.
    for (let death = 1; death <= 4; death++) {
      end(death % 2);
      await eventually("it is noticed", () => logged.split("worker died").length - 1 === death);
      await answers();
    }
    const after = counters();
    for (const [series, value] of before) {
      const now = after.get(series);
      // What came since were requests of another path, and no streams.
      if (/_llm_|path="\/v1\/chat/.test(series)) expect([series, now]).toEqual([series, value]);
      expect([series, now! >= value]).toEqual([series, true]);
    }
    const requests = `llmproxy_upstream_requests_total{"group":"main","upstream":"demo"}`;
    expect(after.get(requests)).toBe(upstream.counts.accepted);
  });
});

describe("a change of the configuration", () => {
  setDefaultTimeout(30_000);

  test.each([["prepare"], ["commit"]])("that a worker misses (%s) replaces the worker", async (kind) => {
    await start(2);
    await answers();
    deafness.postMessage({ worker: 1, kinds: [kind] } satisfies Deafness);
    await supervisor.change(planOf("renamed"), 2);
    expect(logged).toContain("a worker has missed the new configuration and is replaced worker=1");
    expect(supervisor.state().serving).toHaveLength(2);
    expect(supervisor.state().deaths).toBe(0);
    for (let i = 0; i < 20; i++) expect((await ask(port(), "/v1/models")).status).toBe(200);
    const series = /^llmproxy_upstream_requests_total\{[^}]*upstream="renamed"[^}]*\} (\d+)$/m;
    await eventually("all of them are counted", () => series.exec(supervisor.board.render())?.[1] === "20");
  });

  test("meets a worker that has just died, and its successor knows", async () => {
    await start(2);
    await answers();
    end(0);
    await supervisor.change(planOf("renamed"), 2);
    await eventually("there are two again", () => supervisor.state().serving.length === 2);
    for (let i = 0; i < 20; i++) expect((await ask(port(), "/v1/models")).status).toBe(200);
    const series = /^llmproxy_upstream_requests_total\{[^}]*upstream="renamed"[^}]*\} (\d+)$/m;
    await eventually("all of them are counted", () => series.exec(supervisor.board.render())?.[1] === "20");
  });
});
