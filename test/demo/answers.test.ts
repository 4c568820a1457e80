import { describe, expect, test } from "bun:test";
import * as zlib from "node:zlib";

import type { Answer } from "../../src/demo/answer.ts";
import { countWords } from "../../src/demo/ask.ts";
import { answerTo } from "../../src/demo/router.ts";
import type { Script } from "../../src/demo/script.ts";

function ask(target: string, body: unknown, script: Script = {}, method = "POST"): Answer {
  const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  const seed = Bun.hash.xxHash64(bytes);
  const request = { method, target, body: bytes, encoding: null };
  return answerTo(request, { name: "unit", startedS: 1_700_000_000, seed, script });
}

function json(answer: Answer): any {
  return JSON.parse(Buffer.from(answer.body as Uint8Array).toString());
}

function streamText(answer: Answer): string {
  if (answer.body instanceof Uint8Array) throw new Error("this answer is no stream");
  return Buffer.concat([answer.body.opening, ...answer.body.tokens, answer.body.ending]).toString();
}

/** The JSON of each `data:` line but `[DONE]`. */
function events(answer: Answer): any[] {
  const data = streamText(answer).match(/^data: .*$/gm) ?? [];
  return data.filter((line) => line !== "data: [DONE]").map((line) => JSON.parse(line.slice(6)));
}

const CHAT = { model: "m", messages: [{ role: "user", content: "one two  three" }] };

describe("every answer", () => {
  test("depends on the request alone", () => {
    expect(ask("/v1/chat/completions", CHAT)).toEqual(ask("/v1/chat/completions", CHAT));
    const other = { ...CHAT, messages: [{ role: "user", content: "four" }] };
    expect(json(ask("/v1/chat/completions", CHAT)).id).not.toBe(json(ask("/v1/chat/completions", other)).id);
  });

  test("is the same with and without /v1, and with a query", () => {
    const answer = ask("/v1/chat/completions", CHAT);
    expect(ask("/chat/completions", CHAT)).toEqual(answer);
    expect(ask("/v1/chat/completions?api-version=1", CHAT)).toEqual(answer);
  });

  test.each([
    ["/v1/chat/completions", ["error", "type"], "invalid_request_error"],
    ["/v1/messages", ["error", "type"], "invalid_request_error"],
    ["/api/chat", ["error"], "We could not parse the JSON body of your request."],
  ])("to JSON that is wrong is a 400 in the shape of %s", (target, path, expected) => {
    for (const body of ["{", "[]", "null", '"text"', "\xff"]) {
      const answer = ask(target, body);
      expect(answer.status).toBe(400);
    }
    const answer = json(ask(target, "{"));
    expect(path.reduce((value, key) => value[key], answer)).toBe(expected);
  });

  test("to an unknown path is a 404, to a wrong method a 405, in the shape of the API", () => {
    expect(ask("/v1/nothing", {}).status).toBe(404);
    expect(json(ask("/v1/nothing", {})).error.type).toBe("not_found_error");
    expect(json(ask("/v1/messages/nothing", {})).type).toBe("error");
    expect(json(ask("/api/nothing", {})).error).toStartWith("Unknown path");
    expect(ask("/v1/chat/completions", "", {}, "GET")).toMatchObject({ status: 405 });
    expect(ask("/v1/models", {}, {}, "POST").headers).toContain("GET, HEAD");
  });

  test("without the messages or the input that the API wants is a 400", () => {
    for (const path of ["/chat/completions", "/responses", "/messages", "/api/chat", "/embeddings"]) {
      expect(ask(path, { model: "m" }).status).toBe(400);
    }
  });

  test("to a compressed request is the answer to its content", () => {
    const plain = Buffer.from(JSON.stringify(CHAT));
    const context = { name: "unit", startedS: 1, seed: 1n, script: {} };
    const of = (body: Uint8Array, encoding: string | null): Answer =>
      answerTo({ method: "POST", target: "/v1/chat/completions", body, encoding }, context);
    const expected = of(plain, null);
    expect(of(zlib.zstdCompressSync(plain), "zstd")).toEqual(expected);
    expect(of(zlib.gzipSync(plain), "gzip")).toEqual(expected);
    expect(of(zlib.brotliCompressSync(plain), "br")).toEqual(expected);
    expect(of(plain, "gzip").status).toBe(400);
    expect(of(plain, "rot13").status).toBe(400);
  });
});

describe("usage", () => {
  test("counts words, streamed and not, in every dialect", () => {
    const whole = json(ask("/chat/completions", CHAT)).usage;
    expect(whole.prompt_tokens).toBe(6);
    expect(whole.total_tokens).toBe(whole.prompt_tokens + whole.completion_tokens);
    const withUsage = { ...CHAT, stream: true, stream_options: { include_usage: true } };
    const streamed = events(ask("/chat/completions", withUsage));
    expect(streamed.at(-1)).toMatchObject({ choices: [], usage: whole });
    expect(streamed.slice(0, -1).every((event) => event.usage === null)).toBe(true);
    expect(json(ask("/messages", CHAT)).usage).toMatchObject({ input_tokens: 6 });
    expect(json(ask("/responses", { input: "one two three" })).usage.input_tokens).toBe(6);
    expect(json(ask("/api/chat", { ...CHAT, stream: false })).prompt_eval_count).toBe(6);
    expect(json(ask("/completions", { prompt: "one two three" })).usage.prompt_tokens).toBe(3);
    expect(json(ask("/embeddings", { input: ["one two", "three"] })).usage.total_tokens).toBe(3);
  });

  test("is not in a chat stream that did not ask for it", () => {
    expect(streamText(ask("/chat/completions", { ...CHAT, stream: true }))).not.toContain("usage");
  });

  test("counts blanks of any length as one border", () => {
    expect([countWords(""), countWords("  "), countWords("a"), countWords(" a\n\tb ")]).toEqual([0, 0, 1, 2]);
  });

  test("stops at the limit of the request", () => {
    const limited = json(ask("/chat/completions", { ...CHAT, max_tokens: 3 }));
    expect(limited.usage.completion_tokens).toBe(3);
    expect(limited.choices[0].finish_reason).toBe("length");
    expect(json(ask("/messages", { ...CHAT, max_tokens: 3 })).stop_reason).toBe("max_tokens");
    expect(json(ask("/responses", { input: "x", max_output_tokens: 3 }))).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
    });
  });
});

describe("a scripted answer", () => {
  test("has as many tokens, of as many bytes, as the script says", () => {
    const answer = ask("/chat/completions", { ...CHAT, stream: true }, { tokens: 7, tokenBytes: 40 });
    const texts = events(answer).flatMap((event) => event.choices[0].delta.content || []);
    expect(texts.map((text: string) => text.length)).toEqual(Array(7).fill(40));
  });

  test("leaves out the terminal event when told so", () => {
    const stream = { ...CHAT, input: "x", stream: true };
    for (const [path, terminal] of [
      ["/chat/completions", "[DONE]"],
      ["/completions", "[DONE]"],
      ["/messages", "message_stop"],
      ["/responses", "response.completed"],
      ["/api/chat", '"done":true'],
    ] as const) {
      expect(streamText(ask(path, stream))).toContain(terminal);
      expect(streamText(ask(path, stream, { noDone: true }))).not.toContain(terminal);
    }
  });

  test("breaks off with an error event, and with the terminal event after it only on demand", () => {
    const stream = { ...CHAT, input: "x", stream: true };
    for (const [path, mark] of [
      ["/chat/completions", 'data: {"error":{'],
      ["/messages", "event: error\n"],
      ["/responses", "event: response.failed\n"],
      ["/api/chat", '{"error":"'],
    ] as const) {
      const text = streamText(ask(path, stream, { tokens: 10, errorInStream: 4 }));
      expect(text).toContain(mark);
      expect(text).not.toMatch(/\[DONE\]|message_stop|response.completed|"done":true/);
    }
    const both = streamText(ask("/chat/completions", stream, { errorInStream: 2, done: true }));
    expect(both).toEndWith("data: [DONE]\n\n");
    expect(both.indexOf('{"error"')).toBeGreaterThan(0);
  });

  test("that is not streamed has the error as the body of a 200", () => {
    const answer = ask("/chat/completions", CHAT, { errorInStream: "half" });
    expect(answer.status).toBe(200);
    expect(json(answer).error.type).toBe("server_error");
  });

  test("with an error status has the error body of its API", () => {
    expect(
      json(ask("/chat/completions", CHAT, { status: 429, error: "insufficient_quota" })).error,
    ).toMatchObject({
      type: "insufficient_quota",
      code: "insufficient_quota",
    });
    expect(json(ask("/messages", CHAT, { status: 529 }))).toMatchObject({
      type: "error",
      error: { type: "overloaded_error" },
    });
    expect(typeof json(ask("/api/chat", CHAT, { status: 500 })).error).toBe("string");
  });
});

describe("a responses stream", () => {
  test("numbers its events without a gap, an error event included", () => {
    const body = { input: "x", stream: true };
    for (const script of [{}, { errorInStream: 3 }, { errorInStream: "half" }, { tokens: 0 }] as const) {
      const numbers = events(ask("/responses", body, script)).map((event) => event.sequence_number);
      expect(numbers).toEqual(numbers.map((_, at) => at));
      expect(numbers.length).toBeGreaterThan(4);
    }
  });

  test("names each event twice, alike", () => {
    const text = streamText(ask("/responses", { input: "x", stream: true }));
    const names = [...text.matchAll(/^event: (.*)$/gm)].map((match) => match[1]);
    const types = events(ask("/responses", { input: "x", stream: true })).map((event) => event.type);
    expect(names).toEqual(types);
  });
});

describe("embeddings", () => {
  test("are unit vectors that depend on the text alone, of the size asked for", () => {
    const one = json(ask("/embeddings", { input: "cat", dimensions: 8 })).data[0].embedding as number[];
    const all = json(ask("/embeddings", { input: ["dog", "cat"], dimensions: 8 })).data;
    expect(all[1].embedding).toEqual(one);
    expect(all[0].embedding).not.toEqual(one);
    expect(one).toHaveLength(8);
    expect(one.reduce((sum, value) => sum + value * value, 0)).toBeCloseTo(1, 5);
  });

  test("come as base64 of little-endian floats on demand, with the same values", () => {
    const floats = json(ask("/embeddings", { input: "cat" })).data[0].embedding as number[];
    const text = json(ask("/embeddings", { input: "cat", encoding_format: "base64" })).data[0].embedding;
    const bytes = Buffer.from(text as string, "base64");
    expect(floats.map((_, at) => bytes.readFloatLE(at * 4))).toEqual(floats);
  });
});
