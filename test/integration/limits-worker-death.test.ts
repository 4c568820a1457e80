import { afterEach, expect, setDefaultTimeout, test } from "bun:test";

import { parseConfig } from "../../src/config/load.ts";
import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { setLog } from "../../src/observe/log.ts";
import { Supervisor } from "../../src/supervisor/supervisor.ts";
import { WorkerSource } from "../../src/supervisor/worker-source.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, type Keys } from "../support/config.ts";
import { type Death, DEATHS } from "../support/mortal-worker-channel.ts";
import { eventually } from "../support/wait.ts";

// The supervisor runs in this process, so that its workers can be ended from outside.
const deaths = new BroadcastChannel(DEATHS);
setDefaultTimeout(60_000);

let upstream: DemoUpstream;
let supervisor: Supervisor;
let logged = "";

async function start(forward: Keys, http: Keys = {}): Promise<void> {
  upstream = startUpstream({ name: "demo" });
  const config = configOf({ main: { upstreams: { demo: upstream.url }, forward } });
  const server = { ...(config["http_server"] as Keys), ...http };
  const loaded = parseConfig(JSON.stringify({ ...config, http_server: server }), "test", {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.errors));
  logged = "";
  const writeLine = (line: string) => {
    logged += line;
  };
  setLog("info", writeLine);
  supervisor = new Supervisor({
    plan: loaded.plan,
    workers: 1,
    workerSource: new WorkerSource(new URL("../support/mortal-worker.ts", import.meta.url)),
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
});

const port = (): number => supervisor.ports[0]!;

/** Ends the worker, and waits for the next one. */
async function endWorker(): Promise<void> {
  const before = logged.split("worker died").length;
  deaths.postMessage({ worker: 0, exitCode: 1 } satisfies Death);
  await eventually("it is noticed", () => logged.split("worker died").length > before);
}

async function status(): Promise<number | null> {
  try {
    return (await ask(port(), "/v1/models")).status;
  } catch {
    return null;
  }
}

async function open(count: number, sent: string | Uint8Array): Promise<ClientConnection[]> {
  return Promise.all(
    Array.from({ length: count }, async () => (await ClientConnection.open(port())).send(sent)),
  );
}

test("places of requests in progress and of connections come back when their worker dies", async () => {
  await start({ limits: { in_flight: 3, connections: 4 } });
  const hanging = requestBytes("/v1/models", { headers: ["x-demo-script", "hang=before-head"] });
  for (let round = 0; round < 2; round++) {
    const clients = await open(3, hanging);
    await eventually("the upstream has them", () => upstream.counts.inFlight === 3);
    expect(await status()).toBe(503);
    await endWorker();
    for (const client of clients) await client.untilEnd();
    await eventually("requests are answered again", async () => (await status()) === 200);
    await eventually("the upstream is rid of them", () => upstream.counts.inFlight === 0);
  }
});

test("memory for request bodies comes back when its worker dies", async () => {
  await start({}, { max_buffered_bytes: "16MB" });
  const head = "POST /v1/models HTTP/1.1\r\nHost: a\r\nContent-Length: 15000000\r\n\r\n";
  for (let round = 0; round < 2; round++) {
    const [client] = await open(1, Buffer.concat([Buffer.from(head), Buffer.alloc(14_000_000, "x")]));
    const large = async () => {
      try {
        return (await ask(port(), "/v1/models", { body: Buffer.alloc(6_000_000, "x") })).status;
      } catch {
        return null;
      }
    };
    const { buffered } = supervisor["memory"].limits;
    await eventually("the body is held", () => buffered.takenBytes() >= 14_000_000);
    expect(await large()).toBe(503);
    await endWorker();
    await client!.untilEnd();
    await eventually("it fits again", async () => {
      const now = await large();
      return now !== null && now !== 503;
    });
  }
});

test("a client's rate is remembered when a worker dies", async () => {
  await start({ ratelimit: { enabled: true, per_second: 1, burst: 1000 } });
  const statuses: number[] = [];
  using client = await ClientConnection.open(port());
  for (let i = 0; i < 1005; i++) {
    client.send(requestBytes("/v1/models", { method: "GET", body: "x" }));
    statuses.push((await client.response()).status);
  }
  expect(statuses).toContain(429);
  await endWorker();
  await eventually("the next one is there", async () => (await status()) !== null);
  // A second gives one request; a forgotten client would have a thousand.
  const after: (number | null)[] = [];
  for (let i = 0; i < 10; i++) after.push(await status());
  expect(after).toContain(429);
});
