import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

import { startUpstream } from "../../src/demo/upstream.ts";
import { ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { errorOf, eventually } from "../support/wait.ts";

describe.each(TRANSPORTS)("over the transport %s", (transport) => {
  const upstream = startUpstream({ name: "demo" });
  let proxy: RunningProxy;

  beforeAll(async () => {
    proxy = await startProxy({
      config: configOf(
        {
          one: { upstreams: { demo: upstream.url } },
          guarded: {
            upstreams: { guarded: { url: upstream.url, breaker: { threshold: 0.01, min_requests: 1 } } },
          },
          whole: { upstreams: { demo: upstream.url }, client: { stream: false } },
          single: { upstreams: { single: { url: upstream.url, max_in_flight: 1 } } },
        },
        transport,
      ),
    });
  });
  afterEach(() => {
    upstream.script = null;
  });
  afterAll(async () => {
    await proxy.stop();
    upstream.stop();
  });

  /** Where an answer stands when the client goes. */
  interface Phase {
    readonly name: string;
    readonly script: string;
    /** Whether it is there, by what the client has received. */
    readonly reached: (received: string) => boolean;
  }

  const body = JSON.stringify({ model: "demo-1", stream: true, messages: [{ role: "user", content: "Hi" }] });
  const phases: readonly Phase[] = [
    { name: "before the head", script: "hang=before-head", reached: () => upstream.counts.inFlight > 0 },
    {
      name: "between the head and the first byte",
      script: "hang=after-head",
      reached: (received) => received.includes("\r\n\r\n"),
    },
    {
      name: "in the middle of the stream",
      script: "hang=mid-stream",
      reached: (received) => received.includes('"content"'),
    },
  ];

  /** Asks by a forward until the answer stands where the phase says. */
  async function begin(forward: string, phase: Phase): Promise<ClientConnection> {
    const connection = await ClientConnection.open(proxy.port(forward));
    const headers = ["x-demo-script", phase.script];
    connection.send(requestBytes("/v1/chat/completions", { body, headers }));
    await eventually(phase.name, () => phase.reached(connection.pending));
    return connection;
  }

  /** The upstream has noticed that nobody wants its answer any longer. */
  function released(): Promise<void> {
    return eventually("the upstream sees its connection close", () => upstream.counts.inFlight === 0);
  }

  describe.each([...phases])("a client that goes away $name", (phase) => {
    test("by closing its connection closes the upstream's", async () => {
      const abortedBefore = upstream.counts.aborted;
      const connection = await begin("one", phase);
      connection.close();
      await released();
      expect(upstream.counts.aborted).toBe(abortedBefore + 1);
    });

    test("by a reset closes the upstream's connection", async () => {
      const connection = await begin("one", phase);
      connection.destroy();
      await released();
    });

    test("leaves nothing in flight: there is room for the next request, always", async () => {
      for (let round = 0; round < 20; round++) {
        (await begin("single", phase)).destroy();
        await released();
        // One call held for ever would be all that this upstream may have.
        await eventually("the next request is let through", async () => {
          const response = await fetch(`${proxy.url("single")}/v1/models`);
          await response.arrayBuffer();
          return response.status === 200;
        });
      }
    });
  });

  test("a client that goes away while the whole response is being read closes the upstream's connection", async () => {
    const connection = await ClientConnection.open(proxy.port("whole"));
    connection.send(
      requestBytes("/v1/chat/completions", { body, headers: ["x-demo-script", "hang=mid-stream"] }),
    );
    await eventually("the request is at the upstream", () => upstream.counts.inFlight === 1);
    connection.destroy();
    await released();
  });

  const messages = [{ role: "user" as const, content: "Hello" }];

  describe("an abort in an SDK", () => {
    const openai = () => new OpenAI({ apiKey: "k", baseURL: `${proxy.url("one")}/v1`, maxRetries: 0 });

    test("before the answer reaches the upstream (OpenAI)", async () => {
      upstream.script = "hang=before-head";
      const aborter = new AbortController();
      const asked = openai().chat.completions.create(
        { model: "demo-1", messages },
        { signal: aborter.signal },
      );
      const failed = errorOf(asked);
      await eventually("the request is at the upstream", () => upstream.counts.inFlight === 1);
      aborter.abort();
      expect(await failed).toBeInstanceOf(OpenAI.APIUserAbortError);
      await released();
    });

    test("in the middle of a stream reaches the upstream (OpenAI)", async () => {
      upstream.script = "tokens=4; hang=mid-stream";
      const stream = await openai().chat.completions.create({ model: "demo-1", messages, stream: true });
      let tokens = 0;
      for await (const chunk of stream) {
        if (chunk.choices[0]?.delta.content) tokens++;
        if (tokens === 2) break;
      }
      await released();
    });

    test("in the middle of a stream reaches the upstream (Anthropic)", async () => {
      upstream.script = "tokens=4; hang=mid-stream";
      const client = new Anthropic({ apiKey: "k", baseURL: proxy.url("one"), maxRetries: 0 });
      const stream = client.messages.stream({ model: "demo-1", max_tokens: 9, messages });
      stream.on("text", () => stream.abort());
      expect(await errorOf(stream.finalMessage())).toBeInstanceOf(Anthropic.APIUserAbortError);
      await released();
    });

    test("by the SDK's own time limit reaches the upstream (OpenAI)", async () => {
      upstream.script = "hang=before-head";
      const error = await errorOf(
        openai().chat.completions.create({ model: "demo-1", messages }, { timeout: 200 }),
      );
      expect(error).toBeInstanceOf(OpenAI.APIConnectionTimeoutError);
      await released();
    });
  });

  test.each([...phases])("a client that goes away $name is no failure of the upstream", async (phase) => {
    (await begin("guarded", phase)).destroy();
    await released();
    // Its breaker opens at the first failure.
    const response = await fetch(`${proxy.url("guarded")}/v1/models`);
    expect(response.status).toBe(200);
  });
});
