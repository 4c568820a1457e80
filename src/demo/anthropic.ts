import { jsonAnswer, namedSse, SSE_HEADERS, streamAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { asJson, asList, countWords, modelOf, readMessages, textOf, tokensMaxOf } from "./ask.ts";
import type { Ask, Json } from "./ask.ts";
import { complete, textOfCompletion } from "./completion.ts";
import type { Completion } from "./completion.ts";
import { errorAnswer, errorBody, STREAM_ERROR_MESSAGE } from "./errors.ts";
import type { Handler } from "./router.ts";
import type { Script } from "./script.ts";

/** `POST /messages`. */
export const messages: Handler = (json, context) => {
  if (!Array.isArray(json["messages"])) {
    return errorAnswer("anthropic", 400, null, "messages: Field required");
  }
  const completion = complete(context.name, readAsk(json, context.seed), context.script);
  if (json["stream"] === true) return messageStream(completion, context.script);
  const outputTokens = completion.tokens.length;
  return jsonAnswer(200, {
    ...message(completion, outputTokens),
    content: [contentBlock(completion, true)],
    stop_reason: stopReason(completion),
  });
};

/** `POST /messages/count_tokens`. */
export const countTokens: Handler = (json, context) => {
  if (!Array.isArray(json["messages"])) {
    return errorAnswer("anthropic", 400, null, "messages: Field required");
  }
  return jsonAnswer(200, { input_tokens: readAsk(json, context.seed).promptTokens });
};

function readAsk(json: Json, seed: bigint): Ask {
  const read = readMessages(asList(json["messages"]));
  return {
    model: modelOf(json),
    stream: json["stream"] === true,
    ...read,
    promptTokens: read.promptTokens + countWords(textOf(json["system"])),
    tools: asList(json["tools"]).flatMap((item) => {
      const tool = asJson(item);
      if (typeof tool["name"] !== "string") return [];
      return [{ name: tool["name"], parameters: asJson(tool["input_schema"]) }];
    }),
    toolChoice: readToolChoice(asJson(json["tool_choice"])),
    tokensMax: tokensMaxOf(json["max_tokens"]),
    seed,
  };
}

function readToolChoice(choice: Json): Ask["toolChoice"] {
  if (choice["type"] === "none") return { kind: "none" };
  if (choice["type"] === "any") return { kind: "any" };
  if (choice["type"] === "tool" && typeof choice["name"] === "string") {
    return { kind: "named", name: choice["name"] };
  }
  return { kind: "auto" };
}

function message(completion: Completion, outputTokens: number): object {
  return {
    id: `msg_${completion.tag}`,
    type: "message",
    role: "assistant",
    model: completion.model,
    content: [],
    container: null,
    stop_reason: null,
    stop_sequence: null,
    usage: {
      input_tokens: completion.promptTokens,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: outputTokens,
      service_tier: "standard",
    },
  };
}

/** The one content block of an answer: whole, or as it is announced in a stream. */
function contentBlock(completion: Completion, whole: boolean): object {
  const text = whole ? textOfCompletion(completion) : "";
  const { tool } = completion;
  if (tool === null) return { type: "text", text, citations: null };
  const input: unknown = whole ? JSON.parse(text) : {};
  return { type: "tool_use", id: tool.callId.replace("call_", "toolu_"), name: tool.name, input };
}

function stopReason(completion: Completion): string {
  if (completion.finish === "tool") return "tool_use";
  return completion.finish === "length" ? "max_tokens" : "end_turn";
}

function messageStream(completion: Completion, script: Script): Answer {
  const event = (type: string, fields: object): string => namedSse(type, { type, ...fields });
  const ping = event("ping", {});
  const tokens = completion.tokens.map((token) => {
    const delta =
      completion.tool === null
        ? { type: "text_delta", text: token }
        : { type: "input_json_delta", partial_json: token };
    return event("content_block_delta", { index: 0, delta });
  });
  const usage = { output_tokens: completion.tokens.length };
  const delta = { stop_reason: stopReason(completion), stop_sequence: null };
  const parts = {
    opening:
      event("message_start", { message: message(completion, 1) }) +
      event("content_block_start", { index: 0, content_block: contentBlock(completion, false) }) +
      ping,
    tokens,
    closing: event("content_block_stop", { index: 0 }) + event("message_delta", { delta, usage }),
    terminal: event("message_stop", {}),
    ping,
    garbled: 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":\n\n',
    failure: () => namedSse("error", errorBody("anthropic", 529, script.error ?? null, STREAM_ERROR_MESSAGE)),
  };
  return streamAnswer(SSE_HEADERS, parts, script);
}
