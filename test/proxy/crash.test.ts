import { afterEach, expect, test } from "bun:test";

import { parseConfig } from "../../src/config/load.ts";
import { startUpstream } from "../../src/demo/upstream.ts";
import { proposeCapacity } from "../../src/memory/capacity.ts";
import { SharedMemory } from "../../src/memory/shared-memory.ts";
import { LineBatcher } from "../../src/observe/line-batcher.ts";
import { setLog } from "../../src/observe/log.ts";
import { Recorder } from "../../src/observe/recorder.ts";
import { WorkerProxy } from "../../src/proxy/worker-proxy.ts";
import { configOf } from "../support/config.ts";

const logged: string[] = [];
afterEach(() => setLog("info", (line) => process.stderr.write(line)));

test("an exception in a request is a 500 with the request id, one log line with the stack, and touches nothing else", async () => {
  setLog("info", (line) => logged.push(line));
  const upstream = startUpstream({ name: "a" });
  const loaded = parseConfig(
    JSON.stringify(
      configOf({
        main: {
          upstreams: {
            a: {
              url: `${upstream.url}?key=canary-query`,
              auth: { type: "bearer", token: "canary-token" },
              headers: [{ op: "insert", key: "X-Team", value: "canary-header" }],
            },
          },
        },
      }),
    ),
    "test",
    {},
  );
  if (!loaded.ok) throw new Error("the configuration is not valid");
  const { plan } = loaded;
  const capacity = proposeCapacity(plan, 1);
  const memory = SharedMemory.over(SharedMemory.allocate(capacity), capacity);
  const recorder = new Recorder(memory.series.row(0), () => {});
  const noLines = new LineBatcher(
    memory.logs[0]!,
    () => {},
    () => {},
  );
  const worker = new WorkerProxy(memory, 0, recorder, noLines);
  const ports = worker.prepare({ number: 0, plan, ports: [0], rateLimits: new Map() });
  if ("code" in ports) throw new Error(ports.code);
  void worker.commit();
  const ask = (path: string, id: string) =>
    fetch(`http://127.0.0.1:${ports[0]}${path}`, {
      method: "POST",
      headers: { "x-request-id": id, "x-api-key": "canary-client" },
      body: '{"model":"m","messages":[]}',
    });

  // A bug: the balancer throws for one request.
  const { balancer } = worker.routes[0]!;
  const acquire = balancer.acquire;
  balancer.acquire = () => {
    balancer.acquire = acquire;
    throw new Error("a bug");
  };
  const failed = await ask("/v1/messages", "the-id");
  expect([failed.status, failed.headers.get("x-request-id")]).toEqual([500, "the-id"]);
  expect(await failed.json()).toMatchObject({
    type: "error",
    error: { type: "api_error" },
    request_id: "the-id",
  });
  expect(logged.length).toBe(1);
  expect(logged[0]).toContain("request_id=the-id");
  expect(logged[0]).toContain("crash.test.ts");
  expect(logged[0]).not.toContain("canary-");

  expect((await ask("/v1/chat/completions", "next")).status).toBe(200);
  await worker.drain();
  upstream.stop();
});
