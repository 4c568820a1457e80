import { expect, test } from "bun:test";

import { startUpstream } from "../../src/demo/upstream.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { canReadMemory, residentBytes } from "../support/process-memory.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { ResponseReader } from "../support/response-reader.ts";
import { eventually } from "../support/wait.ts";

const MB = 1024 * 1024;
const body = JSON.stringify({
  model: "demo-1",
  stream: true,
  messages: [{ role: "user", content: "Hello" }],
});

const LENGTH = 500 * MB;

/**
 * Reads a response of 500 MB with a rest after every 8 MB, long enough for all buffers on the way to fill up.
 * Gives the memory of the proxy at the end of each rest.
 */
async function readWithRests(proxy: RunningProxy, restMs: number): Promise<number[]> {
  const memory: number[] = [];
  let unrested = 0;
  const reader = new ResponseReader("GET", (piece) => {
    unrested += piece.length;
  });
  using client = await ClientConnection.open(proxy.port());
  client.send(requestBytes("/v1/models", { headers: ["x-demo-script", `body-bytes=${LENGTH}`] }));
  while (!reader.complete) {
    await client.read(reader, () => unrested > 8 * MB);
    client.pause();
    await Bun.sleep(restMs);
    memory.push(residentBytes(proxy.pid));
    unrested = 0;
    client.resume();
    if (client.ended !== null && !reader.complete) throw new Error(`cut after ${reader.bodyBytes} bytes`);
  }
  expect(reader.bodyBytes).toBe(LENGTH);
  return memory.toSorted((one, other) => one - other);
}

test.skipIf(!canReadMemory)(
  "a slow reader of a response of 500 MB costs less than 20 MB of memory",
  async () => {
    const upstream = startUpstream({ name: "demo" });
    await using proxy = await startProxy({
      config: configOf({ main: { upstreams: { demo: upstream.url } } }),
      workers: 1,
    });
    // The first large response makes the heap grow to its working size.
    const before = (await readWithRests(proxy, 0)).at(-1)!;
    const memory = await readWithRests(proxy, 20);
    // Pieces that were passed on wait for the garbage collector: the memory goes up and down around its middle.
    expect(memory[memory.length >> 1]! - before).toBeLessThan(20 * MB);
    expect(memory.at(-1)! - before).toBeLessThan(60 * MB);
    upstream.stop();
  },
  60_000,
);

/** Begins streams and leaves them in the middle, so many at a time. */
async function abortStreams(proxy: RunningProxy, count: number, atOnce: number): Promise<void> {
  const request = requestBytes("/v1/chat/completions", {
    body,
    headers: ["x-demo-script", "hang=mid-stream"],
  });
  for (let done = 0; done < count; done += atOnce) {
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        using client = await ClientConnection.open(proxy.port());
        await client.send(request).until((pending) => pending.includes('"content"'));
        expect(client.ended).toBeNull();
      }),
    );
  }
}

test.skipIf(!canReadMemory)(
  "10,000 streams that their clients leave cost no memory for good",
  async () => {
    const upstream = startUpstream({ name: "demo", recordedMax: 0 });
    await using proxy = await startProxy({
      config: configOf({ main: { upstreams: { demo: upstream.url } } }),
    });
    // The first ones make the heap grow to its working size.
    await abortStreams(proxy, 2000, 200);
    const before = residentBytes(proxy.pid);
    await abortStreams(proxy, 10_000, 200);
    await eventually("the upstream is rid of all", () => upstream.counts.inFlight === 0);
    expect(upstream.counts.aborted).toBe(12_000);
    // What the last ones held waits for the garbage collector.
    await eventually("the memory is back", () => residentBytes(proxy.pid) - before < 20 * MB, 20_000);
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
    upstream.stop();
  },
  60_000,
);
