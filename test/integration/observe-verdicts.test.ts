import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { ask as askBytes, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { parsePrometheusText, sumOf } from "../support/prometheus-text.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

const MESSAGES = [{ role: "user", content: "Hi" }];
const CHAT = { model: "m", messages: MESSAGES };
const STREAMS: [api: string, path: string, body: object, lastEvent: string][] = [
  ["OpenAI's chat", "/v1/chat/completions", { ...CHAT, stream: true }, "[DONE]"],
  ["OpenAI's responses", "/v1/responses", { model: "m", input: "Hi", stream: true }, "response.completed"],
  ["Anthropic's messages", "/v1/messages", { ...CHAT, max_tokens: 9, stream: true }, "message_stop"],
  ["Ollama's chat", "/api/chat", CHAT, '"done":true'],
];

const EVENT_STREAM_HEAD =
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\nConnection: close\r\n\r\n";

let upstream: DemoUpstream;
beforeAll(() => {
  upstream = startUpstream({ name: "demo", recordedMax: 0 });
});
afterAll(() => upstream.stop());

describe.each(TRANSPORTS)("an attempt, over %s", (transport) => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    // A breaker that counts and never opens.
    const breaker = { threshold: 1, min_requests: 10_000 };
    const config = configOf({ pool: { upstreams: { demo: { url: upstream.url, breaker } } } }, transport);
    proxy = await startProxy({ config, workers: 1 });
  });
  afterAll(() => proxy.stop());

  async function counts() {
    const families = parsePrometheusText(await (await fetch(`${proxy.adminUrl}/metrics`)).text());
    const of = (name: string, labels: Record<string, string> = {}) => sumOf(families, name, labels);
    return {
      requests: of("llmproxy_http_request_duration_seconds_count"),
      attempts: of("llmproxy_upstream_duration_seconds_count"),
      success: of("llmproxy_circuitbreaker_calls_total", { result: "success" }),
      failure: of("llmproxy_circuitbreaker_calls_total", { result: "failure" }),
      errors: (error: string) => of("llmproxy_upstream_errors_total", { error }),
      requestErrors: (error: string) => of("llmproxy_http_request_errors_total", { error, status: "200" }),
      disconnects: of("llmproxy_client_disconnects_total"),
    };
  }

  /** What one request did to the numbers. */
  async function changeBy(request: () => Promise<void>) {
    const before = await counts();
    await request();
    await eventually("the request is over", async () => (await counts()).requests === before.requests + 1);
    // What is counted together is written one after the other, and may be read in between. Once the worker, which has
    // one thread, has answered something else, all of it is there.
    expect(await askBytes(proxy.port(), "/", { method: "TRACE" })).toMatchObject({ status: 405 });
    const after = await counts();
    expect(after).toMatchObject({ requests: before.requests + 1, attempts: before.attempts + 1 });
    return {
      success: after.success - before.success,
      failure: after.failure - before.failure,
      disconnects: after.disconnects - before.disconnects,
      errors: (error: string) => after.errors(error) - before.errors(error),
      requestErrors: (error: string) => after.requestErrors(error) - before.requestErrors(error),
    };
  }

  async function ask(path: string, body: object, script: string): Promise<string> {
    const response = await fetch(proxy.url() + path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", "x-demo-script": script },
    });
    expect(response.status).toBe(200);
    return response.text();
  }

  /** Reads a stream until this text was there, and leaves. */
  async function leaveAfter(path: string, body: object, script: string, text: string): Promise<void> {
    const client = await ClientConnection.open(proxy.port());
    client.send(requestBytes(path, { body: JSON.stringify(body), headers: ["x-demo-script", script] }));
    await client.until((pending) => pending.includes(text));
    client.destroy();
  }

  describe.each(STREAMS)("at a stream of %s", (_, path, body, lastEvent) => {
    test.each(["", "encoding=gzip", "encoding=zstd", "drip=7; drip-interval=0"])(
      "is a success when it is whole (%s)",
      async (how) => {
        const change = await changeBy(async () => {
          expect(await ask(path, body, how)).toContain(lastEvent);
        });
        expect(change).toMatchObject({ success: 1, failure: 0, disconnects: 0 });
      },
    );

    test("is a failure when it is cut, and the client sees it", async () => {
      const change = await changeBy(async () => {
        await ask(path, body, "fin=mid-stream").then(
          () => expect.unreachable(),
          () => {},
        );
      });
      expect(change).toMatchObject({ success: 0, failure: 1, disconnects: 0 });
      expect(change.errors("lost")).toBe(1);
      expect(change.requestErrors("upstream_broken")).toBe(1);
    });

    test.each(["error-in-stream=2", "error-in-stream=2; done", "error-in-stream=2; encoding=gzip"])(
      "is a failure when an error is in it (%s)",
      async (script) => {
        const change = await changeBy(async () => void (await ask(path, body, script)));
        expect(change).toMatchObject({ success: 0, failure: 1 });
        expect(change.errors("error_in_stream")).toBe(1);
        expect(change.requestErrors("error_in_stream")).toBe(1);
      },
    );

    test("is a success when the client leaves after the terminal event", async () => {
      const change = await changeBy(() => leaveAfter(path, body, "hang=end", lastEvent));
      expect(change).toMatchObject({ success: 1, failure: 0, disconnects: 0 });
    });

    test("is none of both when the client leaves before", async () => {
      const change = await changeBy(() => leaveAfter(path, body, "hang=mid-stream", "Hello").catch(() => {}));
      expect(change).toMatchObject({ success: 0, failure: 0, disconnects: 1 });
    });
  });

  test.each(STREAMS.filter(([, path]) => path !== "/v1/chat/completions"))(
    "at a stream of %s that ends cleanly without its terminal event is a failure; the client gets what there is, and a clean end",
    async (_, path, body, lastEvent) => {
      for (const how of ["no-done", "no-done; encoding=gzip", "no-done; close"]) {
        const change = await changeBy(async () => {
          expect(await ask(path, body, how)).not.toContain(lastEvent);
        });
        expect(change).toMatchObject({ success: 0, failure: 1, disconnects: 0 });
        expect(change.errors("truncated")).toBe(1);
        expect(change.requestErrors("truncated")).toBe(1);
      }
    },
  );

  test.each(["", "encoding=gzip", "chunked", "body-bytes=300000"])(
    "at an answer in one piece is a success (%s)",
    async (how) => {
      const change = await changeBy(async () => void (await ask("/v1/chat/completions", CHAT, how)));
      expect(change).toMatchObject({ success: 1, failure: 0 });
    },
  );

  test.each(["error-in-stream", "error-in-stream; encoding=gzip", "error-in-stream; chunked"])(
    "at an error as the body of a 200 is a failure (%s), which reaches the client as it is",
    async (script) => {
      const change = await changeBy(async () => {
        expect(await ask("/v1/chat/completions", CHAT, script)).toContain('"error"');
      });
      expect(change).toMatchObject({ success: 0, failure: 1 });
      expect(change.errors("error_in_body")).toBe(1);
    },
  );

  test("at a HEAD of a stream, which has no events, is a success", async () => {
    const change = await changeBy(async () => {
      const response = await fetch(`${proxy.url()}/v1/chat/completions`, {
        method: "HEAD",
        headers: { "x-demo-script": `raw=${Buffer.from(EVENT_STREAM_HEAD).toString("base64")}` },
      });
      expect(response.status).toBe(200);
    });
    expect(change).toMatchObject({ success: 1, failure: 0 });
  });
});
