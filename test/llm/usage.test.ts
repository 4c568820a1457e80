import { describe, expect, test } from "bun:test";

import type { ResponseFacts } from "../../src/llm/response-facts.ts";
import { type ResponseHead, ResponseReader, type Verdict } from "../../src/llm/response-reader.ts";

const encoder = new TextEncoder();
const SSE: ResponseHead = { dialect: "openai-chat", status: 200, contentType: "text/event-stream" };
const JSON_BODY: ResponseHead = { ...SSE, contentType: "application/json" };

function read(text: string, head: ResponseHead): { facts: ResponseFacts; verdict: Verdict } {
  const reader = new ResponseReader(head);
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length; at += 50_000) reader.feed(bytes.subarray(at, at + 50_000));
  return { facts: reader.facts, verdict: reader.end(true) };
}

const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;

function tokensOf(text: string, head: ResponseHead): (number | null)[] {
  const { usage } = read(text, head).facts;
  return [usage.inputTokens, usage.outputTokens, usage.cachedTokens, usage.reasoningTokens];
}

describe("usage", () => {
  test("is unknown, not 0, when nobody says it", () => {
    expect(tokensOf(event({ usage: null }), SSE)).toEqual([null, null, null, null]);
    expect(tokensOf("{}", JSON_BODY)).toEqual([null, null, null, null]);
  });

  test("is the last value of each field, never a sum", () => {
    const text =
      event({
        usage: { prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 2 } },
      }) +
      event({ usage: { prompt_tokens: 5, completion_tokens: 9, prompt_tokens_details: null } }) +
      event({ usage: { prompt_tokens: null, completion_tokens: 10 } }) +
      event({ usage: null });
    expect(tokensOf(text, SSE)).toEqual([5, 10, 2, null]);
  });

  test("does not take zero-filled objects for a report", () => {
    const zeros = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    expect(tokensOf(event({ usage: zeros }), SSE)).toEqual([null, null, null, null]);
    expect(
      tokensOf(event({ usage: { prompt_tokens: 4, completion_tokens: 0 } }) + event({ usage: zeros }), SSE),
    ).toEqual([4, 0, null, null]);
  });

  test("takes no number that cannot be a count", () => {
    for (const wrong of [-1, 1.5, 1e300, "7", true, [], {}]) {
      expect(
        tokensOf(JSON.stringify({ usage: { prompt_tokens: wrong, completion_tokens: 3 } }), JSON_BODY),
      ).toEqual([null, 3, null, null]);
    }
  });

  test("is found under x_groq and in a choice", () => {
    const usage = { prompt_tokens: 6, completion_tokens: 7 };
    expect(tokensOf(event({ choices: [], x_groq: { id: "r", usage } }), SSE)).toEqual([6, 7, null, null]);
    expect(
      tokensOf(event({ choices: [{ index: 0, delta: {}, finish_reason: "stop", usage }] }), SSE),
    ).toEqual([6, 7, null, null]);
  });

  test("of llama.cpp's timings counts only while nothing better is known", () => {
    const timings = { prompt_n: 3, cache_n: 4, predicted_n: 5 };
    expect(tokensOf(event({ timings }), SSE)).toEqual([7, 5, 4, null]);
    expect(tokensOf(event({ timings: { prompt_n: 3, predicted_n: 5 } }), SSE)).toEqual([null, 5, null, null]);
    const usage = { prompt_tokens: 70, completion_tokens: 50 };
    expect(tokensOf(event({ usage }) + event({ timings }), SSE)).toEqual([70, 50, null, null]);
    expect(tokensOf(event({ usage, timings }), SSE)).toEqual([70, 50, null, null]);
  });

  test("is read when whitespace stands around the colon and null came before", () => {
    const text = `${event({ choices: [{ delta: { content: "a" } }] })}data: {"a":{"usage":null}, "usage" : {"prompt_tokens":2}}\n\n`;
    expect(tokensOf(text, SSE)).toEqual([2, null, null, null]);
  });
});

describe("usage by dialect", () => {
  test("of Anthropic adds what the cache gave and took, and is unknown while the server says 0", () => {
    const head: ResponseHead = { ...SSE, dialect: "anthropic-messages" };
    const start = (usage: unknown): string => event({ type: "message_start", message: { usage } });
    expect(tokensOf(start({ input_tokens: 0, output_tokens: 1 }), head)).toEqual([null, 1, null, null]);
    const delta = event({
      type: "message_delta",
      usage: { output_tokens: 8, cache_read_input_tokens: null },
    });
    const text =
      start({
        input_tokens: 3,
        cache_read_input_tokens: 10,
        cache_creation_input_tokens: 100,
        output_tokens: 1,
      }) + delta;
    expect(tokensOf(text, head)).toEqual([113, 8, 10, null]);
  });

  test("of Ollama is unknown where a count is left out", () => {
    const head: ResponseHead = {
      dialect: "ollama-generate",
      status: 200,
      contentType: "application/x-ndjson",
    };
    expect(tokensOf('{"done":true,"eval_count":4}\n', head)).toEqual([null, 4, null, null]);
  });

  test("of a response made before is not taken a second time", () => {
    const body = {
      status: "failed",
      error: { code: "x" },
      model: "m",
      usage: { input_tokens: 1, output_tokens: 2 },
    };
    const head: ResponseHead = { ...JSON_BODY, dialect: "openai-stored" };
    const { facts, verdict } = read(JSON.stringify(body), head);
    expect({ verdict, model: facts.model, usage: facts.usage.inputTokens }).toEqual({
      verdict: "complete",
      model: "m",
      usage: null,
    });
    const replay = event({ type: "response.failed", response: body });
    expect(read(replay, { ...SSE, dialect: "openai-stored" }).verdict).toBe("complete");
    expect(read("", { ...SSE, dialect: "openai-stored" }).verdict).toBe("truncated");
  });
});

describe("large answers", () => {
  const vector = Array.from({ length: 60_000 }, (_, at) => at / 7);

  test("give usage from their tail and the model from their head", () => {
    const body = {
      object: "list",
      model: "embed-1",
      data: [{ embedding: vector }],
      usage: { prompt_tokens: 12, total_tokens: 12 },
    };
    const { facts, verdict } = read(JSON.stringify(body), { ...JSON_BODY, dialect: "openai-embeddings" });
    expect({ verdict, model: facts.model, input: facts.usage.inputTokens }).toEqual({
      verdict: "complete",
      model: "embed-1",
      input: 12,
    });
  });

  test("give the counts of Ollama from their tail", () => {
    const body = {
      model: "m",
      response: "x",
      done: true,
      context: vector,
      total_duration: 5,
      prompt_eval_count: 3,
      eval_count: 4,
    };
    expect(tokensOf(JSON.stringify(body), { ...JSON_BODY, dialect: "ollama-generate" })).toEqual([
      3,
      4,
      null,
      null,
    ]);
  });

  test("are not taken for whole when they break off", () => {
    const body = JSON.stringify({ data: vector });
    expect(read(body.slice(0, -9), JSON_BODY).verdict).toBe("unknown");
    const reader = new ResponseReader(JSON_BODY);
    reader.feed(encoder.encode(body.slice(0, -9)));
    expect(reader.end(false)).toBe("truncated");
  });
});

describe("events too long to parse", () => {
  test("give the end of the stream and its usage", () => {
    const response = {
      model: "m",
      output: "y".repeat(400_000),
      usage: { input_tokens: 5, note: '"}{\\', output_tokens: 6 },
      metadata: { usage: "no" },
    };
    const data = JSON.stringify({ type: "response.completed", response });
    const head: ResponseHead = { ...SSE, dialect: "openai-responses" };
    const { facts, verdict } = read(`event: response.completed\ndata: ${data}\n\n`, head);
    expect({ verdict, oversized: facts.oversizedEvents }).toEqual({ verdict: "complete", oversized: 1 });
    expect([facts.usage.inputTokens, facts.usage.outputTokens]).toEqual([5, 6]);
    expect(read(`event: response.completed\ndata: ${data.slice(0, -5)}`, head).verdict).toBe("truncated");
  });

  test("do not hide what follows them in a chat stream", () => {
    const image = event({ choices: [{ index: 0, delta: { images: ["z".repeat(300_000)] } }] });
    const { facts, verdict } = read(
      `${image}${event({ usage: { prompt_tokens: 1, completion_tokens: 2 } })}data: [DONE]\n\n`,
      SSE,
    );
    expect({ verdict, content: facts.contentEvents, output: facts.usage.outputTokens }).toEqual({
      verdict: "complete",
      content: 1,
      output: 2,
    });
  });
});

describe("Gemini", () => {
  const head: ResponseHead = { ...SSE, dialect: "gemini-generate" };
  const candidate = (index: number, finishReason?: string): unknown => ({
    index,
    finishReason,
    content: { parts: [{ text: "a" }] },
  });

  test("ends when the prompt is blocked", () => {
    expect(read(event({ promptFeedback: { blockReason: "SAFETY" } }), head).verdict).toBe("complete");
    expect(read(event({ promptFeedback: {} }), head).verdict).toBe("truncated");
  });

  test("ends when every candidate has finished", () => {
    const first =
      event({ candidates: [candidate(0), candidate(1)] }) + event({ candidates: [candidate(1, "STOP")] });
    expect(read(first, head).verdict).toBe("truncated");
    expect(read(first + event({ candidates: [candidate(0, "MAX_TOKENS")] }), head).verdict).toBe("complete");
  });
});

describe("the model", () => {
  test("is the first name given, bounded in length", () => {
    const text =
      event({ model: "", choices: [] }) + event({ model: "a".repeat(500) }) + event({ model: "b" });
    expect(read(text, SSE).facts.model).toBe("a".repeat(128));
    expect(read('{"model":7}', JSON_BODY).facts.model).toBeNull();
  });
});
