import { afterAll, beforeEach, describe, expect, test } from "bun:test";

import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";

import { startUpstream } from "../../src/demo/upstream.ts";

const upstream = startUpstream({ name: "sdk" });
const openai = new OpenAI({ apiKey: "none", baseURL: `${upstream.url}/v1`, maxRetries: 0 });
const anthropic = new Anthropic({ apiKey: "none", baseURL: upstream.url, maxRetries: 0 });
const ollama = new Ollama({ host: upstream.url });

const messages = [{ role: "user" as const, content: "How are you in Paris?" }];
const parameters = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
};
const weather = { name: "get_weather", description: "The weather", parameters };
const weatherQuestion = [{ role: "user" as const, content: "Call get_weather for Paris" }];
const PARIS = { city: "Paris", days: 1 };

/** What a promise is rejected with. The SDKs' promises do their work in `then`, so `expect().rejects` misjudges them. */
function errorOf(promise: PromiseLike<unknown>): PromiseLike<unknown> {
  return promise.then(
    () => "no error",
    (error: unknown) => error,
  );
}

beforeEach(() => {
  upstream.script = null;
});
afterAll(() => upstream.stop());

describe("the OpenAI SDK", () => {
  test("reads a chat completion, and the same text from a stream", async () => {
    const whole = await openai.chat.completions.create({ model: "demo-1", messages });
    const text = whole.choices[0]?.message.content;
    expect(text).toContain("How are you in Paris?");
    let streamed = "";
    let usage: OpenAI.CompletionUsage | null | undefined = null;
    const stream = await openai.chat.completions.create({
      model: "demo-1",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    expect(streamed).toBe(text as string);
    expect(usage).toEqual(whole.usage as OpenAI.CompletionUsage);
    expect(whole._request_id).toStartWith("req_sdk_");
  });

  test("gathers a tool call, whole and streamed", async () => {
    const request = {
      model: "demo-1",
      messages: weatherQuestion,
      tools: [{ type: "function" as const, function: weather }],
    };
    const whole = await openai.chat.completions.create(request);
    const streamed = await openai.chat.completions.stream(request).finalChatCompletion();
    for (const completion of [whole, streamed]) {
      const call = completion.choices[0]?.message.tool_calls?.[0];
      if (call?.type !== "function") throw new Error("there is no call of a function");
      expect(call.function.name).toBe("get_weather");
      expect(JSON.parse(call.function.arguments)).toEqual(PARIS);
      expect(completion.choices[0]?.finish_reason).toBe("tool_calls");
    }
    const answered = await openai.chat.completions.create({
      ...request,
      messages: [
        ...weatherQuestion,
        whole.choices[0]?.message as OpenAI.ChatCompletionMessage,
        { role: "tool", tool_call_id: "x", content: "sunny" },
      ],
    });
    expect(answered.choices[0]?.message.content).toContain("Hello");
  });

  test("reads legacy completions, whole and streamed", async () => {
    const whole = await openai.completions.create({ model: "demo-1", prompt: "Hi" });
    let streamed = "";
    for await (const chunk of await openai.completions.create({
      model: "demo-1",
      prompt: "Hi",
      stream: true,
    })) {
      streamed += chunk.choices[0]?.text ?? "";
    }
    expect(streamed).toBe(whole.choices[0]?.text as string);
  });

  test("reads responses, whole and streamed, text and tool call", async () => {
    const whole = await openai.responses.create({ model: "demo-1", input: "Hello" });
    expect(whole.output_text).toContain("Hello");
    const streamed = await openai.responses.stream({ model: "demo-1", input: "Hello" }).finalResponse();
    expect(streamed.output_text).toBe(whole.output_text);
    expect(streamed.usage).toEqual(whole.usage as OpenAI.Responses.ResponseUsage);
    const tools = [{ type: "function" as const, strict: false, ...weather }];
    const input = "Call get_weather for Paris";
    const called = await openai.responses.stream({ model: "demo-1", input, tools }).finalResponse();
    const item = called.output[0];
    if (item?.type !== "function_call") throw new Error("there is no call of a function");
    expect(JSON.parse(item.arguments)).toEqual(PARIS);
  });

  test("decodes embeddings, which it asks for in base64", async () => {
    const { data } = await openai.embeddings.create({
      model: "demo-embedding",
      input: ["a", "b"],
      dimensions: 16,
    });
    expect(data.map((item) => item.embedding.length)).toEqual([16, 16]);
    expect(upstream.requests.at(-1)?.body.toString()).toContain('"base64"');
    const plain = await openai.embeddings.create({
      model: "m",
      input: "a",
      dimensions: 16,
      encoding_format: "float",
    });
    expect(plain.data[0]?.embedding).toEqual(data[0]?.embedding as number[]);
  });

  test("lists models, and gets one", async () => {
    const ids: string[] = [];
    for await (const model of openai.models.list()) ids.push(model.id);
    expect(ids).toContain("demo-1");
    expect((await openai.models.retrieve("demo-1")).owned_by).toBe("llmproxy-sdk");
    expect(await errorOf(openai.models.retrieve("other"))).toBeInstanceOf(OpenAI.NotFoundError);
  });

  test("throws its own classes for errors", async () => {
    const ask = (): Promise<unknown> => openai.chat.completions.create({ model: "demo-1", messages });
    upstream.script = "status=401";
    expect(await errorOf(ask())).toBeInstanceOf(OpenAI.AuthenticationError);
    upstream.script = "status=429; error=insufficient_quota; retry-after=1";
    const limited = await errorOf(ask());
    expect(limited).toBeInstanceOf(OpenAI.RateLimitError);
    expect((limited as InstanceType<typeof OpenAI.APIError>).code).toBe("insufficient_quota");
    upstream.script = "status=500";
    expect(await errorOf(ask())).toBeInstanceOf(OpenAI.InternalServerError);
    upstream.script = "reset=before-head";
    expect(await errorOf(ask())).toBeInstanceOf(OpenAI.APIConnectionError);
  });

  test("throws for an error inside a stream, after the tokens before it", async () => {
    upstream.script = "tokens=6; error-in-stream=3";
    const stream = await openai.chat.completions.create({ model: "demo-1", messages, stream: true });
    let tokens = 0;
    const read = async (): Promise<void> => {
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) tokens++;
    };
    expect(await errorOf(read())).toBeInstanceOf(OpenAI.APIError);
    expect(tokens).toBe(3);
  });
});

describe("the Anthropic SDK", () => {
  const request = { model: "demo-1", max_tokens: 100, messages };

  test("reads a message, and the same from a stream", async () => {
    const whole = await anthropic.messages.create(request);
    const streamed = await anthropic.messages.stream(request).finalMessage();
    expect(streamed.content).toMatchObject(whole.content);
    expect(streamed.usage).toMatchObject(whole.usage);
    expect(streamed.stop_reason).toBe("end_turn");
    expect(whole._request_id).toStartWith("req_sdk_");
  });

  test("sees every event of a stream in order, ping included", async () => {
    const response = await anthropic.messages.create({ ...request, stream: true }).asResponse();
    const names = [...(await response.text()).matchAll(/^event: (.*)$/gm)].map((match) => match[1]);
    const order = names.filter((name, at) => name !== names[at - 1]);
    expect(order.join(" ")).toBe(
      "message_start content_block_start ping content_block_delta content_block_stop message_delta message_stop",
    );
  });

  test("gathers a tool call, whole and streamed", async () => {
    const tools = [{ name: "get_weather", input_schema: { ...parameters, type: "object" as const } }];
    const asked = { ...request, messages: weatherQuestion, tools };
    const whole = await anthropic.messages.create(asked);
    const streamed = await anthropic.messages.stream(asked).finalMessage();
    for (const message of [whole, streamed]) {
      expect(message.content).toMatchObject([{ type: "tool_use", name: "get_weather", input: PARIS }]);
      expect(message.stop_reason).toBe("tool_use");
    }
  });

  test("counts tokens as the answer's usage does", async () => {
    const counted = await anthropic.messages.countTokens({ model: "demo-1", messages });
    const whole = await anthropic.messages.create(request);
    expect(counted.input_tokens).toBe(whole.usage.input_tokens);
  });

  test("throws its own classes for errors, also in the middle of a stream", async () => {
    upstream.script = "status=529";
    expect(await errorOf(anthropic.messages.create(request))).toBeInstanceOf(Anthropic.InternalServerError);
    upstream.script = "status=429; retry-after=1";
    expect(await errorOf(anthropic.messages.create(request))).toBeInstanceOf(Anthropic.RateLimitError);
    upstream.script = "error-in-stream";
    const failed = await errorOf(anthropic.messages.stream(request).finalMessage());
    expect(failed).toBeInstanceOf(Anthropic.APIError);
    expect(String(failed)).toContain("overloaded_error");
  });
});

describe("the Ollama SDK", () => {
  test("reads a chat and a generation, whole and streamed", async () => {
    const whole = await ollama.chat({ model: "demo-1", messages });
    let streamed = "";
    let evalCount = 0;
    for await (const part of await ollama.chat({ model: "demo-1", messages, stream: true })) {
      streamed += part.message.content;
      evalCount = part.eval_count ?? evalCount;
    }
    expect(streamed).toBe(whole.message.content);
    expect(evalCount).toBe(whole.eval_count);
    const generated = await ollama.generate({ model: "demo-1", prompt: "Hi" });
    let text = "";
    for await (const part of await ollama.generate({ model: "demo-1", prompt: "Hi", stream: true }))
      text += part.response;
    expect(text).toBe(generated.response as string);
  });

  test("streams unless told not to", async () => {
    const body = JSON.stringify({ model: "demo-1", messages });
    const response = await fetch(`${upstream.url}/api/chat`, { method: "POST", body });
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    expect((await response.text()).trimEnd().split("\n").length).toBeGreaterThan(3);
  });

  test("gathers a tool call, and lists models", async () => {
    const tools = [{ type: "function", function: weather }];
    const whole = await ollama.chat({ model: "demo-1", messages: weatherQuestion, tools });
    expect(whole.message.tool_calls?.[0]?.function).toEqual({ name: "get_weather", arguments: PARIS });
    expect((await ollama.list()).models.map((model) => model.name)).toContain("demo-1:latest");
  });

  test("throws for an error, also in the middle of a stream", async () => {
    upstream.script = "status=503";
    expect(String(await errorOf(ollama.chat({ model: "demo-1", messages })))).toContain("answers 503");
    upstream.script = "error-in-stream";
    const stream = await ollama.chat({ model: "demo-1", messages, stream: true });
    const read = async (): Promise<void> => {
      for await (const part of stream) void part;
    };
    expect(String(await errorOf(read()))).toContain("broke off");
  });
});
