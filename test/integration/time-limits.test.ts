import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { startUpstream } from "../../src/demo/upstream.ts";
import { type BlackHole, startBlackHole } from "../support/black-hole.ts";
import { ask, ClientConnection } from "../support/client-connection.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { valueOf } from "../support/response-reader.ts";
import { eventually } from "../support/wait.ts";

describe.each(TRANSPORTS)("over the transport %s", (transport) => {
  // All limits are one second, the smallest that can be configured. The tests wait for what must happen; where
  // something must not happen, an answer takes several times as long as the limit that must not apply.
  const upstream = startUpstream({ name: "demo" });
  // Nobody else asks it: an answer to another request would show that it can be reached.
  const thinker = startUpstream({ name: "thinker" });
  const closingPort = unusedPort();
  // Takes connections, and never answers the greeting of TLS.
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  let hole: BlackHole;
  let proxy: RunningProxy;

  beforeAll(async () => {
    hole = await startBlackHole();
    proxy = await startProxy({
      config: configOf(
        {
          hasty: { upstreams: { demo: upstream.url }, client: { timeout: { request: 1 } } },
          whole: { upstreams: { demo: upstream.url }, client: { stream: false, timeout: { request: 1 } } },
          quiet: { upstreams: { demo: upstream.url }, client: { timeout: { connect: 1 } } },
          thinking: { upstreams: { thinker: thinker.url }, client: { timeout: { connect: 1 } } },
          closing: {
            upstreams: { closing: `http://127.0.0.1:${closingPort}` },
            client: { timeout: { connect: 1 } },
          },
          holeFirst: {
            upstreams: { hole: hole.url, demo: upstream.url },
            strategy: "failover",
            client: { timeout: { connect: 1 } },
          },
          silentFirst: {
            upstreams: { silent: `https://127.0.0.1:${silent.port}`, demo: upstream.url },
            strategy: "failover",
            client: { timeout: { connect: 1 } },
          },
          holeOnly: { upstreams: { hole: hole.url }, client: { timeout: { connect: 1 } } },
          impatient: { upstreams: { demo: upstream.url }, forward: { timeout: { connect: 1 } } },
        },
        transport,
      ),
    });
  });
  afterAll(async () => {
    await proxy.stop();
    upstream.stop();
    thinker.stop();
    hole.stop();
    silent.stop(true);
  });

  const whole = JSON.stringify({ model: "demo-1", messages: [{ role: "user", content: "Hello" }] });
  const streamed = JSON.stringify({ ...JSON.parse(whole), stream: true });

  function post(forward: string, script: string, body: string) {
    return ask(proxy.port(forward), "/v1/chat/completions", { body, headers: ["x-demo-script", script] });
  }

  /** A 504 in the client's shape, after which the upstream is rid of the request. */
  async function expectTimeout(response: Awaited<ReturnType<typeof post>>): Promise<void> {
    expect(response.status).toBe(504);
    expect(JSON.parse(response.body.toString()).error.code).toBe("upstream_timeout");
    expect(valueOf(response.headers, "x-request-id")).not.toBeNull();
    await eventually("the upstream sees its connection close", () => upstream.counts.inFlight === 0);
  }

  describe("timeout.request", () => {
    test.concurrent("ends a request without a response with a 504", async () => {
      await expectTimeout(await post("hasty", "hang=before-head", whole));
    });

    test.concurrent("ends an answer that is not streamed and comes too slowly", async () => {
      await expectTimeout(await post("hasty", "drip=1; drip-interval=50", whole));
    });

    test.concurrent(
      "ends a long answer that is not streamed: it is cut, as its head has gone out",
      async () => {
        const script = 'body-bytes=100000; drip=100; header="Content-Type: application/json"';
        const response = await post("hasty", script, whole);
        expect(response.status).toBe(200);
        expect(response.complete).toBe(false);
      },
    );

    test.concurrent("ends a stream whose first byte does not come", async () => {
      const response = await post("hasty", "ttft=20000", streamed);
      // The head may have been passed on by then.
      if (response.status === 200) expect(response.complete).toBe(false);
      else expect(response.status).toBe(504);
      await eventually("the upstream sees its connection close", () => upstream.counts.inFlight === 0);
    });

    test.concurrent("does not cut a stream that has begun, however long it takes", async () => {
      const response = await post("hasty", "tokens=12; interval=250", streamed);
      expect(response.complete).toBe(true);
      expect(response.body.toString()).toContain("[DONE]");
    });

    test.concurrent("does not cut a stream that pauses for longer than it", async () => {
      const response = await post("hasty", "tokens=2; interval=2500", streamed);
      expect(response.complete).toBe(true);
    });

    test.concurrent("bounds the whole exchange in a group that does not stream", async () => {
      await expectTimeout(await post("whole", "tokens=12; interval=250", streamed));
    });
  });

  describe("timeout.connect", () => {
    test.concurrent("leads on to the next upstream where one does not take connections", async () => {
      const response = await post("holeFirst", "status=200", whole);
      expect(response.status).toBe(200);
      expect(valueOf(response.headers, "x-demo-upstream")).toBe("demo");
    });

    test.concurrent("leads on to the next upstream where TLS is not answered", async () => {
      const response = await post("silentFirst", "status=200", whole);
      expect(response.status).toBe(200);
      expect(valueOf(response.headers, "x-demo-upstream")).toBe("demo");
    });

    test.concurrent("ends the request with a 504 where there is no other upstream", async () => {
      expect((await post("holeOnly", "status=200", whole)).status).toBe(504);
    });

    test.concurrent("does not end a request to a model that thinks for longer than it", async () => {
      const response = await post("thinking", "delay=3500", whole);
      expect(response.status).toBe(200);
    });

    test.concurrent(
      "does not end a request to an upstream that shuts down and finishes its work",
      async () => {
        // It takes no more connections, so that a look at whether it can be reached finds it gone.
        const closing = Bun.listen<undefined>({
          hostname: "127.0.0.1",
          port: closingPort,
          socket: {
            data(socket, chunk) {
              if (!chunk.toString().endsWith("}")) return;
              closing.stop();
              setTimeout(() => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"), 2500);
            },
          },
        });
        const response = await post("closing", "", whole);
        expect([response.status, response.body.toString()]).toEqual([200, "done"]);
      },
    );

    test.concurrent("does not end a stream whose first token takes longer than it", async () => {
      const response = await post("quiet", "ttft=3500", streamed);
      expect(response.complete).toBe(true);
    });
  });

  describe("the forward's timeout.connect", () => {
    test.concurrent("ends a request head that does not come with a 408", async () => {
      using client = await ClientConnection.open(proxy.port("impatient"));
      client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\n");
      const response = await client.response();
      expect(response.status).toBe(408);
      expect(await client.untilEnd()).toBe("fin");
    });

    test.concurrent("ends a request head that comes too slowly, though something always comes", async () => {
      using client = await ClientConnection.open(proxy.port("impatient"));
      client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\n");
      const drip = setInterval(() => client.send("X-A: 1\r\n"), 100);
      try {
        expect((await client.response()).status).toBe(408);
      } finally {
        clearInterval(drip);
      }
    });

    test.concurrent("ends a body that stalls with a 408", async () => {
      using client = await ClientConnection.open(proxy.port("impatient"));
      client.send("POST /v1/messages HTTP/1.1\r\nHost: c\r\nContent-Length: 100\r\n\r\n{");
      const response = await client.response();
      expect(response.status).toBe(408);
      expect(JSON.parse(response.body.toString())).toMatchObject({ type: "error" });
    });

    test.concurrent("lets a slow body through that keeps coming", async () => {
      using client = await ClientConnection.open(proxy.port("impatient"));
      client.send(`POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nContent-Length: ${whole.length}\r\n\r\n`);
      const step = Math.ceil(whole.length / 8);
      for (let at = 0; at < whole.length; at += step) {
        client.send(whole.slice(at, at + step));
        await Bun.sleep(300);
      }
      expect((await client.response()).status).toBe(200);
    });

    test.concurrent("does not end a connection that waits for a slow model", async () => {
      expect((await post("impatient", "delay=3500", whole)).status).toBe(200);
    });
  });
});
