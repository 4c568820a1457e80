import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";

import { startUpstream } from "../../src/demo/upstream.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";

// The scripted upstream gives equal answers to equal requests, so whatever an SDK makes of an answer must be
// the same with the proxy in between as without it.
const upstream = startUpstream({ name: "real" });
let proxy: RunningProxy;

afterAll(() => upstream.stop());

const messages = [{ role: "user" as const, content: "How are you in Paris?" }];
const parameters = {
  type: "object" as const,
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
};
const toolQuestion = [{ role: "user" as const, content: "Call get_weather for Paris" }];
const model = "demo-1";

/** What a stream of an SDK gave, piece by piece. */
async function piecesOf<T>(stream: AsyncIterable<T> | Promise<AsyncIterable<T>>): Promise<T[]> {
  const pieces: T[] = [];
  for await (const piece of await stream) pieces.push(piece);
  return pieces;
}

type Call<Client> = readonly [name: string, call: (client: Client) => Promise<unknown>];

const chatTools = [{ type: "function" as const, function: { name: "get_weather", parameters } }];
const responseTools = [{ type: "function" as const, strict: false, name: "get_weather", parameters }];

const openaiCalls: Call<OpenAI>[] = [
  ["a chat completion", (client) => client.chat.completions.create({ model, messages })],
  [
    "every chunk of a streamed chat completion, usage included",
    (client) =>
      piecesOf(
        client.chat.completions.create({
          model,
          messages,
          stream: true,
          stream_options: { include_usage: true },
        }),
      ),
  ],
  [
    "a tool call",
    (client) => client.chat.completions.create({ model, messages: toolQuestion, tools: chatTools }),
  ],
  [
    "a streamed tool call, gathered by the SDK",
    (client) =>
      client.chat.completions
        .stream({ model, messages: toolQuestion, tools: chatTools })
        .finalChatCompletion(),
  ],
  ["a legacy completion", (client) => client.completions.create({ model, prompt: "Hi" })],
  ["a response", (client) => client.responses.create({ model, input: "Hello" })],
  [
    "every event of a streamed response",
    (client) => piecesOf(client.responses.create({ model, input: "Hello", stream: true })),
  ],
  [
    "a streamed response with a function call, gathered by the SDK",
    (client) =>
      client.responses.stream({ model, input: "Call get_weather", tools: responseTools }).finalResponse(),
  ],
  [
    "embeddings, decoded from base64",
    (client) => client.embeddings.create({ model: "demo-embedding", input: ["a", "b"], dimensions: 16 }),
  ],
  ["the list of models", (client) => piecesOf(client.models.list())],
  ["one model", (client) => client.models.retrieve(model)],
];

const anthropicTools = [{ name: "get_weather", input_schema: parameters }];
const message = { model, max_tokens: 100, messages };

const anthropicCalls: Call<Anthropic>[] = [
  ["a message", (client) => client.messages.create(message)],
  [
    "every event of a streamed message",
    (client) => piecesOf(client.messages.create({ ...message, stream: true })),
  ],
  ["a streamed message, gathered by the SDK", (client) => client.messages.stream(message).finalMessage()],
  [
    "a tool call",
    (client) => client.messages.create({ ...message, messages: toolQuestion, tools: anthropicTools }),
  ],
  [
    "a streamed tool call, gathered by the SDK",
    (client) =>
      client.messages.stream({ ...message, messages: toolQuestion, tools: anthropicTools }).finalMessage(),
  ],
  ["a count of tokens", (client) => client.messages.countTokens({ model, messages })],
];

const ollamaCalls: Call<Ollama>[] = [
  ["a chat answer", (client) => client.chat({ model, messages })],
  [
    "every line of a streamed chat answer",
    (client) => piecesOf(client.chat({ model, messages, stream: true })),
  ],
  ["a generated text", (client) => client.generate({ model, prompt: "Hi" })],
  [
    "every line of a streamed text",
    (client) => piecesOf(client.generate({ model, prompt: "Hi", stream: true })),
  ],
  ["the list of models", (client) => client.list()],
];

describe.each(TRANSPORTS)("over the transport %s", (transport) => {
  beforeAll(async () => {
    const groups = {
      openai: { upstreams: { openai: `${upstream.url}/v1` } },
      plain: { upstreams: { plain: upstream.url } },
    };
    proxy = await startProxy({ config: configOf(groups, transport) });
  });
  afterAll(() => proxy.stop());

  describe.each([
    ["with /v1 in its base URL", "/v1"],
    ["without /v1 in its base URL", ""],
  ])("the OpenAI SDK %s", (_, prefix) => {
    const clientOf = (url: string) => new OpenAI({ apiKey: "sk-test", baseURL: url, maxRetries: 0 });

    test.each(openaiCalls)("reads %s as without the proxy", async (_, call) => {
      const direct = await call(clientOf(`${upstream.url}/v1`));
      const proxied = await call(clientOf(proxy.url("openai") + prefix));
      expect(proxied).toEqual(direct);
    });
  });

  describe("the Anthropic SDK", () => {
    const clientOf = (url: string) => new Anthropic({ apiKey: "sk-ant-test", baseURL: url, maxRetries: 0 });

    test.each(anthropicCalls)("reads %s as without the proxy", async (_, call) => {
      const direct = await call(clientOf(upstream.url));
      const proxied = await call(clientOf(proxy.url("plain")));
      expect(proxied).toEqual(direct);
    });
  });

  describe("the Ollama SDK", () => {
    test.each(ollamaCalls)("reads %s as without the proxy", async (_, call) => {
      const direct = await call(new Ollama({ host: upstream.url }));
      const proxied = await call(new Ollama({ host: proxy.url("plain") }));
      expect(proxied).toEqual(direct);
    });
  });

  test("the id of the upstream's request reaches the SDK that reads it", async () => {
    const openai = new OpenAI({ apiKey: "k", baseURL: `${proxy.url("openai")}/v1` });
    const completion = await openai.chat.completions.create({ model, messages });
    expect(completion._request_id).toStartWith("req_real_");
    const anthropic = new Anthropic({ apiKey: "k", baseURL: proxy.url("plain") });
    expect((await anthropic.messages.create(message))._request_id).toStartWith("req_real_");
  });
});
