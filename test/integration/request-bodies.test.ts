import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { ask, ClientConnection } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { Random } from "../support/random.ts";
import { valueOf, valuesOf } from "../support/response-reader.ts";
import { errorOf, eventually } from "../support/wait.ts";

const BODY_BYTES_MAX = 100_000;
const MB = 1024 * 1024;
let upstream: DemoUpstream;
let proxy: RunningProxy;

beforeAll(async () => {
  upstream = startUpstream({ name: "demo" });
  proxy = await startProxy({
    config: configOf({
      large: { upstreams: { demo: upstream.url } },
      small: { upstreams: { demo: upstream.url }, forward: { max_body_size: BODY_BYTES_MAX } },
    }),
  });
});
afterAll(async () => {
  await proxy.stop();
  upstream.stop();
});

/** The body of the last request as the upstream received it, and how it was framed. */
function received() {
  const request = upstream.requests.at(-1)!;
  const length = valueOf(request.headers, "content-length");
  return { body: Buffer.from(request.body), length, coding: valueOf(request.headers, "transfer-encoding") };
}

const random = new Random();

test.each([
  ["an empty body", 0],
  ["a body of one byte", 1],
  ["a body of 1 MB", MB],
  ["a body of 20 MB", 20 * MB],
])("%s reaches the upstream unchanged, with its length", async (_, length) => {
  await random.run(async () => {
    const body = length > MB ? Buffer.alloc(length, random.bytes(65_521)) : random.bytes(length);
    await ask(proxy.port("large"), "/v1/chat/completions", { body });
    expect(received().body.equals(body)).toBe(true);
    if (length > 0) expect(received().length).toBe(String(length));
  });
});

test("a request without a body reaches the upstream without one", async () => {
  for (const method of ["GET", "DELETE", "HEAD", "OPTIONS"]) {
    await ask(proxy.port("large"), "/v1/models", { method });
    const request = upstream.requests.at(-1)!;
    expect(request.method).toBe(method);
    expect(request.body.length).toBe(0);
    expect(valuesOf(request.headers, "transfer-encoding")).toEqual([]);
  }
});

/** A body in the chunked coding, in chunks of random sizes. */
function chunked(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length;) {
    const chunk = body.subarray(at, at + 1 + random.below(20_000));
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
    at += chunk.length;
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

const chunkedHead = "POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n";

test("chunked bodies reach the upstream unchanged, and the connection goes on", async () => {
  await random.run(async () => {
    using client = await ClientConnection.open(proxy.port("large"));
    for (const length of [0, 1, 5000, MB]) {
      const body = random.bytes(length);
      client.send(`${chunkedHead}\r\n`).send(chunked(body));
      const response = await client.response();
      // What is not JSON is a 400 of the upstream's.
      expect(response.status).toBe(400);
      expect(valueOf(response.headers, "x-demo-upstream")).toBe("demo");
      expect(received().body.equals(body)).toBe(true);
    }
  });
});

test("a body that arrives a byte at a time reaches the upstream in one piece", async () => {
  using client = await ClientConnection.open(proxy.port("large"));
  const body = '{"model":"demo-1","messages":[]}';
  client.send(`POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nContent-Length: ${body.length}\r\n\r\n`);
  for (const byte of body) {
    client.send(byte);
    await Bun.sleep(0);
  }
  expect((await client.response()).status).toBe(200);
  expect(received().body.toString()).toBe(body);
});

describe("a limit of the body", () => {
  test("lets a body of exactly that size pass, announced or chunked", async () => {
    const body = Buffer.alloc(BODY_BYTES_MAX, "x");
    const response = await ask(proxy.port("small"), "/v1/chat/completions", { body });
    expect(valueOf(response.headers, "x-demo-upstream")).toBe("demo");
    expect(received().body.equals(body)).toBe(true);
    using client = await ClientConnection.open(proxy.port("small"));
    await client.send(`${chunkedHead}\r\n`).send(chunked(body)).response();
    expect(received().body.equals(body)).toBe(true);
  });

  test("refuses one byte more before any of it is sent", async () => {
    const before = upstream.counts.accepted;
    using client = await ClientConnection.open(proxy.port("small"));
    client.send(`POST /v1/models HTTP/1.1\r\nHost: c\r\nContent-Length: ${BODY_BYTES_MAX + 1}\r\n\r\n`);
    const response = await client.response();
    expect(response.status).toBe(413);
    expect(response.complete).toBe(true);
    expect(upstream.counts.accepted).toBe(before);
  });

  test("refuses one byte more of a chunked body, and the client can read the answer while it sends", async () => {
    const before = upstream.counts.accepted;
    using client = await ClientConnection.open(proxy.port("small"));
    client.send(`${chunkedHead}\r\n`).send(chunked(Buffer.alloc(BODY_BYTES_MAX + 1, "x")));
    const response = await client.response();
    expect(response.status).toBe(413);
    expect(upstream.counts.accepted).toBe(before);
    expect(await client.untilEnd()).toBe("fin");
  });

  test("refuses a body far beyond it, and the client that sends it all still reads the answer", async () => {
    const response = await ask(proxy.port("small"), "/v1/chat/completions", { body: Buffer.alloc(4 * MB) });
    expect(response.status).toBe(413);
    expect(response.complete).toBe(true);
  });

  test("is told in the words of the OpenAI SDK", async () => {
    const client = new OpenAI({ apiKey: "k", baseURL: `${proxy.url("small")}/v1`, maxRetries: 0 });
    const content = "x".repeat(BODY_BYTES_MAX);
    const error = (await errorOf(
      client.chat.completions.create({ model: "m", messages: [{ role: "user", content }] }),
    )) as InstanceType<typeof OpenAI.APIError>;
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect([error.status, error.type, error.code]).toEqual([
      413,
      "invalid_request_error",
      "request_too_large",
    ]);
  });

  test("is told in the words of the Anthropic SDK", async () => {
    const client = new Anthropic({ apiKey: "k", baseURL: proxy.url("small"), maxRetries: 0 });
    const content = "x".repeat(BODY_BYTES_MAX);
    const error = (await errorOf(
      client.messages.create({ model: "m", max_tokens: 9, messages: [{ role: "user", content }] }),
    )) as InstanceType<typeof Anthropic.APIError>;
    expect(error).toBeInstanceOf(Anthropic.APIError);
    expect([error.status, error.type as string]).toEqual([413, "request_too_large"]);
  });
});

describe("a client that expects 100-continue", () => {
  const body = '{"model":"demo-1","messages":[]}';
  const headOf = (length: number) =>
    `POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;

  test("is told to go on, and its expectation stays with us", async () => {
    using client = await ClientConnection.open(proxy.port("small"));
    client.send(headOf(body.length));
    await client.until((pending) => pending.includes("\r\n\r\n"));
    expect(client.pending).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    client.send(body);
    expect((await client.response()).status).toBe(200);
    expect(received().body.toString()).toBe(body);
    expect(valueOf(upstream.requests.at(-1)!.headers, "expect")).toBeNull();
  });

  test("is not asked for a body that is too large", async () => {
    using client = await ClientConnection.open(proxy.port("small"));
    client.send(headOf(BODY_BYTES_MAX + 1));
    await client.until((pending) => pending.includes("\r\n\r\n"));
    expect(client.pending).toStartWith("HTTP/1.1 413 ");
  });
});

test("a body that the client breaks off is not sent to any upstream", async () => {
  const before = upstream.counts.accepted;
  const client = await ClientConnection.open(proxy.port("large"));
  client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nContent-Length: 100\r\n\r\n{");
  await Bun.sleep(0);
  client.close();
  await client.untilEnd();
  // A later request is answered, and is the only one that came through.
  await ask(proxy.port("large"), "/v1/models");
  await eventually("the upstream has it", () => upstream.counts.accepted > before);
  expect(upstream.counts.accepted).toBe(before + 1);
});
