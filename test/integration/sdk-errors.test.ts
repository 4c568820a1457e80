import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";

import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";

import { startUpstream } from "../../src/demo/upstream.ts";
import { configOf } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { errorOf } from "../support/wait.ts";

const upstream = startUpstream({ name: "real" });
let proxy: RunningProxy;

beforeAll(async () => {
  const failing = { url: upstream.url, breaker: { threshold: 0.5, cooldown: 600, min_requests: 1 } };
  proxy = await startProxy({
    config: configOf({
      fine: { upstreams: { fine: upstream.url } },
      dead: { upstreams: { dead: `http://127.0.0.1:${unusedPort()}` } },
      broken: { upstreams: { broken: failing } },
      hasty: { upstreams: { hasty: upstream.url }, client: { timeout: { request: 1 } } },
      small: { upstreams: { small: upstream.url }, forward: { max_body_size: 1024 } },
    }),
  });
  // Opens the breaker of the group `broken`.
  await ask("broken", "/v1/chat/completions", "status=500");
});
afterEach(() => {
  upstream.script = null;
});
afterAll(async () => {
  await proxy.stop();
  upstream.stop();
});

function ask(forward: string, path: string, script: string): Promise<Response> {
  return fetch(proxy.url(forward) + path, {
    method: "POST",
    headers: { "x-demo-script": script },
    body: "{}",
  });
}

const messages = [{ role: "user" as const, content: "Hello" }];

/** The error that the OpenAI SDK throws for a chat completion by a forward. */
function openaiError(forward: string, stream: boolean, content = "Hello"): Promise<unknown> {
  const client = new OpenAI({ apiKey: "k", baseURL: `${proxy.url(forward)}/v1`, maxRetries: 0 });
  return errorOf(
    client.chat.completions.create({ model: "demo-1", messages: [{ role: "user", content }], stream }),
  );
}

/** The error that the Anthropic SDK throws for a message by a forward. */
function anthropicError(forward: string, stream: boolean, content = "Hello"): Promise<unknown> {
  const client = new Anthropic({ apiKey: "k", baseURL: proxy.url(forward), maxRetries: 0 });
  return errorOf(
    client.messages.create({ model: "demo-1", max_tokens: 9, messages: [{ role: "user", content }], stream }),
  );
}

interface Case {
  readonly status: number;
  readonly forward: string;
  readonly script: string | null;
  readonly content?: string;
  readonly openai: new (...args: never[]) => Error;
  readonly anthropic: new (...args: never[]) => Error;
  /** `error.type` and `error.code` of the proxy's own errors; null: the upstream's error, passed on. */
  readonly type: { readonly openai: string; readonly code: string; readonly anthropic: string } | null;
}

const big = "x".repeat(2000);
const cases: readonly Case[] = [
  {
    status: 401,
    forward: "fine",
    script: "status=401",
    openai: OpenAI.AuthenticationError,
    anthropic: Anthropic.AuthenticationError,
    type: null,
  },
  {
    status: 429,
    forward: "fine",
    script: "status=429",
    openai: OpenAI.RateLimitError,
    anthropic: Anthropic.RateLimitError,
    type: null,
  },
  {
    status: 500,
    forward: "fine",
    script: "status=500",
    openai: OpenAI.InternalServerError,
    anthropic: Anthropic.InternalServerError,
    type: null,
  },
  {
    status: 502,
    forward: "dead",
    script: null,
    openai: OpenAI.InternalServerError,
    anthropic: Anthropic.InternalServerError,
    type: { openai: "server_error", code: "upstream_unreachable", anthropic: "api_error" },
  },
  {
    status: 503,
    forward: "broken",
    script: null,
    openai: OpenAI.InternalServerError,
    anthropic: Anthropic.InternalServerError,
    type: { openai: "server_error", code: "upstream_unavailable", anthropic: "overloaded_error" },
  },
  {
    status: 504,
    forward: "hasty",
    script: "hang=before-head",
    openai: OpenAI.InternalServerError,
    anthropic: Anthropic.InternalServerError,
    type: { openai: "server_error", code: "upstream_timeout", anthropic: "timeout_error" },
  },
  {
    status: 413,
    forward: "small",
    script: null,
    content: big,
    openai: OpenAI.APIError,
    anthropic: Anthropic.APIError,
    type: { openai: "invalid_request_error", code: "request_too_large", anthropic: "request_too_large" },
  },
];

describe.each([
  ["a whole answer", false],
  ["a stream", true],
])("where %s was asked for", (_, stream) => {
  test.each(cases)("the OpenAI SDK throws its own class for a $status", async (expected) => {
    upstream.script = expected.script;
    const error = (await openaiError(expected.forward, stream, expected.content)) as InstanceType<
      typeof OpenAI.APIError
    >;
    expect(error).toBeInstanceOf(expected.openai);
    expect(error.status).toBe(expected.status);
    expect(error.requestID).toBeString();
    expect(error.requestID).not.toBe("");
    expect(error.headers?.get("x-request-id")).toBe(error.requestID as string);
    if (expected.type === null) {
      expect(error.requestID).toStartWith("req_real_");
      return;
    }
    expect(error.type).toBe(expected.type.openai);
    expect(error.code).toBe(expected.type.code);
    expect(error.param).toBeNull();
    expect(error.error).toMatchObject({ message: expect.any(String) });
  });

  test.each(cases)("the Anthropic SDK throws its own class for a $status", async (expected) => {
    upstream.script = expected.script;
    const error = (await anthropicError(expected.forward, stream, expected.content)) as InstanceType<
      typeof Anthropic.APIError
    >;
    expect(error).toBeInstanceOf(expected.anthropic);
    expect(error.status).toBe(expected.status);
    expect(error.requestID).toBeString();
    expect(error.requestID).not.toBe("");
    if (expected.type === null) {
      expect(error.requestID).toStartWith("req_real_");
      return;
    }
    expect(error.type).toBe(expected.type.anthropic as typeof error.type);
    expect(error.error).toMatchObject({
      type: "error",
      error: { type: expected.type.anthropic, message: expect.any(String) },
    });
  });
});

test("the Ollama SDK throws with the status and the message", async () => {
  const client = new Ollama({ host: proxy.url("dead") });
  const error = (await errorOf(client.chat({ model: "demo-1", messages }))) as Error & {
    status_code: number;
  };
  expect(error.status_code).toBe(502);
  expect(error.message).toContain("could not be reached");
});

test("a 503 of the proxy says when the breaker will be half-open", async () => {
  const response = await ask("broken", "/v1/chat/completions", "status=200");
  expect(response.status).toBe(503);
  const seconds = Number(response.headers.get("retry-after"));
  expect(seconds).toBeGreaterThan(500);
  expect(seconds).toBeLessThanOrEqual(600);
});

test("the fields of an upstream's error that steer an SDK's retries reach it", async () => {
  upstream.script =
    'status=429; retry-after=7; header="x-should-retry: false"; header="x-ratelimit-reset: 3s"';
  const error = (await openaiError("fine", false)) as InstanceType<typeof OpenAI.APIError>;
  expect(error.headers?.get("retry-after")).toBe("7");
  expect(error.headers?.get("x-should-retry")).toBe("false");
  expect(error.headers?.get("x-ratelimit-reset")).toBe("3s");
});

test("a stream that breaks half way is an error in the SDK, after the tokens that came", async () => {
  upstream.script = "tokens=8; interval=5; reset=mid-stream";
  const client = new OpenAI({ apiKey: "k", baseURL: `${proxy.url("fine")}/v1`, maxRetries: 0 });
  let tokens = 0;
  const read = async () => {
    const stream = await client.chat.completions.create({ model: "demo-1", messages, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) tokens++;
  };
  await errorOf(read());
  expect(tokens).toBe(4);
});

test("an error event inside a stream is thrown by the SDK with the upstream's words", async () => {
  upstream.script = "tokens=6; error-in-stream=3; error=overloaded_error";
  const client = new Anthropic({ apiKey: "k", baseURL: proxy.url("fine"), maxRetries: 0 });
  const error = await errorOf(
    client.messages.stream({ model: "demo-1", max_tokens: 9, messages }).finalMessage(),
  );
  expect(error).toBeInstanceOf(Anthropic.APIError);
  expect(String(error)).toContain("overloaded_error");
});
