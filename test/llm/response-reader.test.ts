import { describe, expect, test } from "bun:test";

import type { ResponseFacts } from "../../src/llm/response-facts.ts";
import { type ResponseHead, ResponseReader, type Verdict } from "../../src/llm/response-reader.ts";

const encoder = new TextEncoder();
const SSE: ResponseHead = { dialect: "openai-chat", status: 200, contentType: "text/event-stream" };
const JSON_BODY: ResponseHead = { ...SSE, contentType: "application/json" };

interface Outcome {
  readonly facts: ResponseFacts;
  readonly verdict: Verdict;
}

function read(text: string, head: ResponseHead, clean = true): Outcome {
  const reader = new ResponseReader(head);
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length; at += 50_000) reader.feed(bytes.subarray(at, at + 50_000));
  return { facts: reader.facts, verdict: reader.end(clean) };
}

const verdictOf = (text: string, head: ResponseHead, clean = true): Verdict =>
  read(text, head, clean).verdict;
const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;
const said = (content: string, finish: string | null = null, index = 0): string =>
  event({ choices: [{ index, delta: { content }, finish_reason: finish }] });

describe("the end of a chat stream", () => {
  test("may lack [DONE] if it ended properly and every choice has finished", () => {
    const text = said("a") + said("b", "stop");
    expect(verdictOf(text, SSE)).toBe("complete");
    expect(verdictOf(text, SSE, false)).toBe("truncated");
    expect(verdictOf(said("a") + said("b"), SSE)).toBe("truncated");
  });

  test("is not there while a choice is open, whichever comes first", () => {
    const first = said("a") + said("x", null, 1) + said("b", "stop", 0);
    expect(verdictOf(first, SSE)).toBe("truncated");
    expect(verdictOf(first + said("", "stop", 1), SSE)).toBe("complete");
    const second = said("x", null, 1) + said("a") + said("a") + said("", "stop", 1);
    expect(verdictOf(second, SSE)).toBe("truncated");
    expect(verdictOf(second + said("", "stop"), SSE)).toBe("complete");
  });

  test("is [DONE] with blanks around it, and nothing that contains it", () => {
    expect(verdictOf("data:  [DONE] \n\n", SSE, false)).toBe("complete");
    for (const data of ["[DONE]]", "[DONE", '"[DONE]"', "x[DONE]"])
      expect(verdictOf(`data: ${data}\n\n`, SSE)).toBe("truncated");
  });

  test("is missing from a stream without events", () => {
    for (const text of ["", "\n\n", ": ping\n\n: ping\n\n", "event: x\n\n"])
      expect(verdictOf(text, SSE)).toBe("truncated");
  });
});

describe("an error inside a success", () => {
  test("is any top-level error that is true", () => {
    for (const error of [{ message: "m" }, "text", 1, true])
      expect(verdictOf(event({ error }), SSE)).toBe("error");
    for (const error of [null, false, "", 0]) {
      expect(verdictOf(said("a") + event({ error, choices: [] }) + "data: [DONE]\n\n", SSE)).toBe("complete");
    }
    expect(verdictOf(event({ choices: [{ index: 0, delta: { error: {} } }] }), SSE)).toBe("truncated");
  });

  test("beats the end marker that follows it", () => {
    expect(verdictOf(`${said("a")}${event({ error: { code: 500 } })}data: [DONE]\n\n`, SSE)).toBe("error");
  });

  test("is an event of that name, a finish reason of that name, or an object of that type", () => {
    expect(verdictOf("event: error\ndata: busy\n\n", SSE)).toBe("error");
    expect(verdictOf(said("a") + said("", "error") + "data: [DONE]\n\n", SSE)).toBe("error");
    expect(verdictOf('{"object":"error","message":"m","code":400}', JSON_BODY)).toBe("error");
    expect(verdictOf('error: {"code":500,"message":"m"}\n\n', SSE)).toBe("error");
  });

  test("is a JSON error where an event stream was announced", () => {
    const { verdict, facts } = read(
      '\n {"error":{"type":"server_error","code":503,"message":"secret"}}',
      SSE,
    );
    expect(verdict).toBe("error");
    expect(facts.error).toEqual({ type: "server_error", code: "503" });
    expect(verdictOf('{"ok":true}', SSE)).toBe("complete");
  });

  test("is described without its message, in plain words only", () => {
    const { facts } = read(
      JSON.stringify({ error: { type: "a b\n", code: "x".repeat(65), message: "secret" } }),
      JSON_BODY,
    );
    expect(facts.error).toEqual({ type: "error", code: null });
  });

  test("is found in the dialect of each path", () => {
    const anthropic: ResponseHead = { ...SSE, dialect: "anthropic-messages" };
    expect(verdictOf(event({ type: "error", error: { type: "api_error" } }), anthropic)).toBe("error");
    expect(verdictOf(event({ error: { message: "m" } }), anthropic)).toBe("error");
    expect(
      verdictOf(event({ error: { code: 503, status: "UNAVAILABLE" } }), {
        ...SSE,
        dialect: "gemini-generate",
      }),
    ).toBe("error");
    expect(verdictOf(event({ error: { message: "m" } }), { ...SSE, dialect: "openai-responses" })).toBe(
      "error",
    );
    expect(verdictOf('{"error":"m"}', { ...JSON_BODY, dialect: "ollama-generate" })).toBe("error");
    const failed = { status: "failed", error: { code: "server_error" } };
    expect(verdictOf(JSON.stringify(failed), { ...JSON_BODY, dialect: "openai-responses" })).toBe("error");
  });
});

test("an event named `message`, which is the default name, is told by its type", () => {
  const named = (type: string): string => `event: message\n${event({ type })}`;
  const text = ["message_start", "content_block_delta", "message_stop"].map(named).join("");
  const { verdict, facts } = read(text, { ...SSE, dialect: "anthropic-messages" }, false);
  expect([verdict, facts.contentEvents]).toEqual(["complete", 1]);
});

describe("the kind of a body", () => {
  test("is told by media type without parameters in any case, and by the first byte where that is wrong", () => {
    const stream = `${said("a")}data: [DONE]\n\n`;
    for (const contentType of ["Text/Event-Stream ; charset=UTF-8", "application/json", "text/plain", null]) {
      expect(verdictOf(stream, { ...SSE, contentType }, false)).toBe("complete");
      expect(verdictOf('{"usage":{"prompt_tokens":1}}', { ...SSE, contentType })).toBe("complete");
    }
    expect(verdictOf(`: ping\n\n${stream}`, JSON_BODY)).toBe("complete");
  });

  test("is opaque for other media types and is then left alone", () => {
    for (const contentType of ["audio/mpeg", "application/vnd.amazon.eventstream", "text/html"]) {
      const { verdict, facts } = read(event({ error: 1 }), { ...SSE, contentType });
      expect({ verdict, framing: facts.framing }).toEqual({ verdict: "unknown", framing: "opaque" });
    }
  });

  test("of a failing status yields the error, and no verdict", () => {
    const body =
      '{"error":{"type":"insufficient_quota","code":"credit_balance_exhausted"},"usage":{"prompt_tokens":9}}';
    const { verdict, facts } = read(body, { ...JSON_BODY, status: 429 });
    expect(verdict).toBe("unknown");
    expect(facts.error).toEqual({ type: "insufficient_quota", code: "credit_balance_exhausted" });
    expect(facts.usage.inputTokens).toBeNull();
    expect(
      read(event({ usage: { prompt_tokens: 9 } }), { ...SSE, status: 500 }).facts.usage.inputTokens,
    ).toBeNull();
  });

  test("that is no JSON is counted and says nothing", () => {
    const { verdict, facts } = read('{"usage":', JSON_BODY);
    expect({ verdict, failures: facts.parseFailures }).toEqual({ verdict: "unknown", failures: 1 });
    expect(verdictOf('{"usage":', JSON_BODY, false)).toBe("truncated");
    expect(read(`data: {"usage":{]}\n\n${said("a")}`, SSE).facts.parseFailures).toBe(1);
  });

  test("of JSON lines may have blank lines and CRLF", () => {
    const head: ResponseHead = {
      dialect: "ollama-generate",
      status: 200,
      contentType: "application/x-ndjson",
    };
    const { verdict, facts } = read('\r\n{"response":"a"}\r\n \n\n{"done":true}\r\n\r\n', head);
    expect([verdict, facts.payloadEvents, facts.parseFailures]).toEqual(["complete", 2, 0]);
  });

  test("on an unknown path has its events counted and no verdict", () => {
    const { verdict, facts } = read(`${event({ error: "x" })}: c\n\nevent: ping\ndata: 1\n\n`, {
      ...SSE,
      dialect: "unknown",
    });
    expect({ verdict, events: facts.payloadEvents }).toEqual({ verdict: "unknown", events: 1 });
    expect(verdictOf('{"error":{}}', { ...JSON_BODY, dialect: "other" })).toBe("unknown");
  });
});

describe("a body that is too long to be parsed for a few members", () => {
  const content = 'She said "{}", \\ and [left.'.repeat(100);
  const choices = [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }];
  const usage = { prompt_tokens: 9, completion_tokens: 700, prompt_tokens_details: { cached_tokens: 4 } };
  const orders = {
    "around the answer": { id: "a", model: "m-1", choices, usage, system_fingerprint: null },
    "before the answer": { usage, model: "m-1", choices },
    "behind the answer": { choices, model: "m-1", usage },
  };

  test.each(Object.entries(orders))("tells model and usage that stand %s", (_, body) => {
    const { verdict, facts } = read(JSON.stringify(body), JSON_BODY);
    expect([verdict, facts.model, facts.usage.inputTokens]).toEqual(["complete", "m-1", 9]);
    expect([facts.usage.outputTokens, facts.usage.cachedTokens]).toEqual([700, 4]);
  });

  test("tells an error that stands beside usage", () => {
    const error = { type: "server_error", code: "cut_off" };
    for (const body of [
      { error, choices, usage },
      { model: "m-1", choices, usage, error },
    ])
      expect(read(JSON.stringify(body), JSON_BODY)).toMatchObject({ verdict: "error", facts: { error } });
  });

  test("is not whole where it broke off, though that looks like its end", () => {
    const text = JSON.stringify({ usage, model: "m-1", choices });
    const cut = text.slice(0, text.indexOf("{}") + 2);
    expect(verdictOf(`${text.slice(0, -1)},"x":{}`, JSON_BODY, false)).toBe("truncated");
    expect(verdictOf(cut.padEnd(1100, "}"), JSON_BODY, false)).toBe("truncated");
  });
});

describe("the first payload", () => {
  const listen = (head: ResponseHead, texts: readonly string[]): string[] => {
    const calls: string[] = [];
    const reader = new ResponseReader(head, {
      onFirstPayload: () => calls.push("payload"),
      onFirstContent: () => calls.push("content"),
      onTerminal: () => calls.push("terminal"),
    });
    for (const text of texts) {
      reader.feed(encoder.encode(text));
      calls.push("|");
    }
    reader.end(true);
    return calls;
  };

  test("is no comment and no ping, and the first content no role and no empty text", () => {
    const role = event({
      choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }],
    });
    const texts = [": ping\n\n", "event: ping\ndata: {}\n\n", role, said("a"), said("b"), "data: [DONE]\n\n"];
    expect(listen(SSE, texts)).toEqual(["|", "|", "payload", "|", "content", "|", "|", "terminal", "|"]);
  });

  test("is told apart in reasoning, tool calls, and Anthropic's blocks", () => {
    for (const delta of [{ reasoning_content: "r" }, { tool_calls: [{ index: 0 }] }]) {
      expect(listen(SSE, [event({ choices: [{ index: 0, delta }] })])).toEqual(["payload", "content", "|"]);
    }
    const head: ResponseHead = { ...SSE, dialect: "anthropic-messages" };
    const texts = ["message_start", "content_block_start", "content_block_delta", "message_stop"].map(
      (type) => event({ type }),
    );
    expect(listen(head, texts)).toEqual(["payload", "|", "|", "content", "|", "terminal", "|"]);
  });

  test("is presumed after a while where no content is recognised", () => {
    const text = event({ choices: [{ index: 0, delta: { novel: 1 } }] }).repeat(1000);
    const { contentEvents } = read(text, SSE).facts;
    expect(contentEvents).toBeGreaterThan(500);
    expect(contentEvents).toBeLessThan(1000);
  });

  test("comes at the end when the last event lacks its blank line", () => {
    expect(listen(SSE, ["data: [DONE]"])).toEqual(["|", "terminal"]);
    expect(listen(SSE, [said("a"), "data: [DONE]"])).toEqual(["payload", "content", "|", "|", "terminal"]);
  });
});
