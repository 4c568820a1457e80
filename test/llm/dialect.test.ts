import { describe, expect, test } from "bun:test";

import {
  apiPathOf,
  describePath,
  type Dialect,
  dialectOf,
  errorShapeOf,
  methodLabelOf,
  modelInPath,
} from "../../src/llm/dialect.ts";

const NAMED: readonly (readonly [string, string, Dialect])[] = [
  ["/v1/chat/completions", "/v1/chat/completions", "openai-chat"],
  ["/chat/completions", "/v1/chat/completions", "openai-chat"],
  ["/chat/completions?api-version=1", "/v1/chat/completions", "openai-chat"],
  ["/v1/chat/completions/", "/v1/chat/completions", "openai-chat"],
  ["/openai/v1/chat/completions", "/v1/chat/completions", "openai-chat"],
  ["/api/v1/chat/completions", "/v1/chat/completions", "openai-chat"],
  ["/v1beta/openai/chat/completions", "/v1/chat/completions", "openai-chat"],
  ["/client/v4/accounts/a/ai/v1/chat/completions", "/v1/chat/completions", "openai-chat"],
  ["/v1/chat/completions/chatcmpl-1", "/v1/chat/completions/{completion_id}", "other"],
  ["/v1/completions", "/v1/completions", "openai-completions"],
  ["/llm/completions", "/v1/completions", "openai-completions"],
  ["/v1/embeddings", "/v1/embeddings", "openai-embeddings"],
  ["/v1beta/openai/embeddings", "/v1/embeddings", "openai-embeddings"],
  ["/v1/responses", "/v1/responses", "openai-responses"],
  ["/openai/responses?api-version=preview", "/v1/responses", "openai-responses"],
  ["/v1/responses/resp_1", "/v1/responses/{response_id}", "openai-stored"],
  ["/v1/responses/resp_1/cancel", "/v1/responses/{response_id}/cancel", "openai-stored"],
  ["/v1/responses/resp_1/input_items?limit=1", "/v1/responses/{response_id}/input_items", "other"],
  ["/v1/responses/input_tokens", "/v1/responses/input_tokens", "other"],
  ["/v1/models", "/v1/models", "other"],
  ["/models/", "/v1/models", "other"],
  ["/v1/models/meta-llama/Llama-3", "/v1/models/{model}", "other"],
  ["/v1/models/llama3:8b", "/v1/models/{model}", "other"],
  ["/v1/audio/transcriptions", "/v1/audio/transcriptions", "openai-media"],
  ["/v1/images/generations", "/v1/images/generations", "openai-media"],
  ["/v1/files/file-1/content", "/v1/files/{file_id}/content", "other"],
  ["/v1/batches/b", "/v1/batches/{batch_id}", "other"],
  ["/v1/threads/t/messages", "/v1/threads/{thread_id}/messages", "other"],
  [
    "/openai/deployments/gpt/chat/completions?api-version=1",
    "/openai/deployments/{deployment}/chat/completions",
    "openai-chat",
  ],
  [
    "/x/openai/deployments/gpt/embeddings",
    "/openai/deployments/{deployment}/embeddings",
    "openai-embeddings",
  ],
  ["/v1/messages", "/v1/messages", "anthropic-messages"],
  ["/v1/messages?beta=true", "/v1/messages", "anthropic-messages"],
  ["/messages", "/v1/messages", "anthropic-messages"],
  ["/anthropic/v1/messages", "/v1/messages", "anthropic-messages"],
  ["/v1/messages/count_tokens", "/v1/messages/count_tokens", "other"],
  ["/v1/messages/batches/b/results", "/v1/messages/batches/{batch_id}/results", "other"],
  [
    "/v1beta/models/gemini-2.5-pro:generateContent",
    "/v1beta/models/{model}:generateContent",
    "gemini-generate",
  ],
  [
    "/v1/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    "/v1beta/models/{model}:streamGenerateContent",
    "gemini-generate",
  ],
  [
    "/v1/projects/p/locations/l/publishers/google/models/g:countTokens",
    "/v1beta/models/{model}:countTokens",
    "other",
  ],
  [
    "/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict",
    "/v1/models/{model}:streamRawPredict",
    "anthropic-messages",
  ],
  ["/api/chat", "/api/chat", "ollama-generate"],
  ["/ollama/api/generate", "/api/generate", "ollama-generate"],
  ["/api/embed", "/api/embed", "ollama-embed"],
  ["/api/tags", "/api/tags", "other"],
  [
    "/model/anthropic.claude/invoke-with-response-stream",
    "/model/{model}/invoke-with-response-stream",
    "other",
  ],
];

describe("paths", () => {
  test("are told with any prefix, with and without /v1, whatever the query", () => {
    for (const [target, label, dialect] of NAMED) {
      expect([target, apiPathOf(target), dialectOf(target)]).toEqual([target, label, dialect]);
    }
  });

  test("that are not known are `other`", () => {
    const unknown = [
      "/",
      "",
      "*",
      "/v1",
      "/foo",
      "/v1/foo",
      "/v1/foo/completions",
      "/v1/skills/s/files",
      "/v1/chat",
      "/v1/chat/completions/a/b",
      "/v1//chat",
      "/v1/responses//cancel",
      "/V1/CHAT/COMPLETIONS",
      "/v1/embeddings/x",
      "//",
      "/?/v1/models",
    ];
    for (const target of unknown)
      expect([target, apiPathOf(target), dialectOf(target)]).toEqual([target, "other", "unknown"]);
  });

  test("have labels from a fixed set, whatever a client sends", () => {
    const labels = new Set<string>();
    const words = [
      "v1",
      "chat",
      "completions",
      "models",
      "responses",
      "messages",
      "threads",
      "openai",
      "deployments",
      "api",
      "x:generateContent",
    ];
    let state = 1;
    for (let round = 0; round < 50_000; round++) {
      const segments = [];
      for (let count = 0; count <= round % 7; count++) {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        segments.push(state % 5 === 0 ? `id${state}` : words[(state >>> 8) % words.length]);
      }
      labels.add(apiPathOf(`/${segments.join("/")}`));
    }
    for (const label of labels) expect(label).not.toMatch(/id\d/);
    expect(labels.size).toBeLessThan(60);
  });

  test("of absurd length cost next to nothing", () => {
    for (const segment of ["/", "/v1", "/models", "/openai/deployments", "/threads"]) {
      expect(apiPathOf(segment.repeat(200_000))).toBe("other");
      expect(modelInPath(segment.repeat(200_000))).toBeNull();
    }
  });
});

describe("errors", () => {
  test("have Anthropic's shape on messages paths and below, else OpenAI's", () => {
    for (const target of [
      "/v1/messages",
      "/messages",
      "/v1/messages/count_tokens",
      "/v1/messages/batches",
      "/messages/new?x",
      "/v1/messages/a/b/c",
      "/gw/v1/messages/new",
    ]) {
      expect([target, errorShapeOf(target)]).toEqual([target, "anthropic"]);
    }
    for (const target of [
      "/v1/chat/completions",
      "/v1/threads/t/messages",
      "/v1/models",
      "/",
      "",
      "/v1/messagesx",
      "/v1/x/messages",
    ]) {
      expect([target, errorShapeOf(target)]).toEqual([target, "openai"]);
    }
  });
});

test("a path says who decides about streaming", () => {
  const streaming = (target: string): string => describePath(target).streaming;
  expect(streaming("/v1/chat/completions")).toBe("if-asked");
  expect(streaming("/api/chat")).toBe("unless-refused");
  expect(streaming("/v1beta/models/g:streamGenerateContent")).toBe("always");
  expect(streaming("/v1beta/models/g:generateContent")).toBe("never");
  expect(streaming("/model/m/converse-stream")).toBe("always");
});

test("a model is read from the paths that have one", () => {
  expect(modelInPath("/openai/deployments/my%20gpt/chat/completions?x=1")).toBe("my gpt");
  expect(modelInPath("/v1beta/models/gemini-2.5-pro:generateContent?key=k")).toBe("gemini-2.5-pro");
  expect(modelInPath("/model/anthropic.claude-v2:1/invoke")).toBe("anthropic.claude-v2:1");
  expect(modelInPath("/openai/deployments/%/chat/completions")).toBe("%");
  for (const target of ["/v1/chat/completions", "/v1/models/gpt", "/", ""])
    expect(modelInPath(target)).toBeNull();
});

test("a method is one of the usual ones or `other`", () => {
  expect(["GET", "POST", "OPTIONS", "get", "BREW"].map(methodLabelOf)).toEqual([
    "GET",
    "POST",
    "OPTIONS",
    "other",
    "other",
  ]);
});
