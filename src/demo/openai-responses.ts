import { jsonAnswer, namedSse, SSE_HEADERS, streamAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { asJson, asList, modelOf, readMessages, tokensMaxOf } from "./ask.ts";
import type { Ask, Json } from "./ask.ts";
import { complete, textOfCompletion } from "./completion.ts";
import type { Completion } from "./completion.ts";
import { errorAnswer, STREAM_ERROR_MESSAGE } from "./errors.ts";
import { readToolChoice } from "./openai-chat.ts";
import type { Context, Handler } from "./router.ts";

/** `POST /responses`. */
export const responses: Handler = (json, context) => {
  if (typeof json["input"] !== "string" && !Array.isArray(json["input"])) {
    return errorAnswer("openai", 400, null, "Missing required parameter: 'input'.");
  }
  const completion = complete(context.name, readAsk(json, context.seed), context.script);
  if (json["stream"] === true) return responseStream(json, completion, context);
  return jsonAnswer(200, response(json, completion, context, "final"));
};

function readAsk(json: Json, seed: bigint): Ask {
  const input =
    typeof json["input"] === "string" ? [{ role: "user", content: json["input"] }] : json["input"];
  const instructions = json["instructions"] === undefined ? [] : [{ content: json["instructions"] }];
  return {
    model: modelOf(json),
    stream: json["stream"] === true,
    ...readMessages([...instructions, ...asList(input)]),
    tools: asList(json["tools"]).flatMap((item) => {
      const tool = asJson(item);
      if (tool["type"] !== "function" || typeof tool["name"] !== "string") return [];
      return [{ name: tool["name"], parameters: asJson(tool["parameters"]) }];
    }),
    toolChoice: readToolChoice(json["tool_choice"]),
    tokensMax: tokensMaxOf(json["max_output_tokens"]),
    seed,
  };
}

/** The response object: as it is at the start of a stream, at its end, or when the model failed. */
function response(json: Json, completion: Completion, context: Context, state: "begun" | "final" | "failed") {
  const short = completion.finish === "length";
  const status =
    state === "begun" ? "in_progress" : state === "failed" ? "failed" : short ? "incomplete" : "completed";
  return {
    id: `resp_${completion.tag}`,
    object: "response",
    created_at: context.startedS,
    status,
    background: false,
    error: state === "failed" ? { code: "server_error", message: STREAM_ERROR_MESSAGE } : null,
    incomplete_details: state === "final" && short ? { reason: "max_output_tokens" } : null,
    instructions: json["instructions"] ?? null,
    max_output_tokens: json["max_output_tokens"] ?? null,
    metadata: json["metadata"] ?? {},
    model: completion.model,
    output: state === "final" ? [outputItem(completion, "completed")] : [],
    parallel_tool_calls: true,
    previous_response_id: null,
    temperature: json["temperature"] ?? 1,
    tool_choice: json["tool_choice"] ?? "auto",
    tools: json["tools"] ?? [],
    top_p: json["top_p"] ?? 1,
    truncation: "disabled",
    usage: state === "final" ? usage(completion) : null,
  };
}

function usage(completion: Completion): object {
  const outputTokens = completion.tokens.length;
  return {
    input_tokens: completion.promptTokens,
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: completion.promptTokens + outputTokens,
  };
}

function outputItem(completion: Completion, status: "in_progress" | "completed"): object {
  const text = status === "completed" ? textOfCompletion(completion) : "";
  if (completion.tool !== null) {
    const { name, callId } = completion.tool;
    return { id: itemId(completion), type: "function_call", status, call_id: callId, name, arguments: text };
  }
  const content = status === "completed" ? [textPart(text)] : [];
  return { id: itemId(completion), type: "message", status, role: "assistant", content };
}

function itemId(completion: Completion): string {
  return completion.tool === null ? `msg_${completion.tag}` : `fc_${completion.tag}`;
}

function textPart(text: string): object {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

function responseStream(json: Json, completion: Completion, context: Context): Answer {
  let sequence = 0;
  const event = (type: string, fields: object): string =>
    namedSse(type, { type, ...fields, sequence_number: sequence++ });
  const item = { item_id: itemId(completion), output_index: 0 };
  const begun = response(json, completion, context, "begun");
  let opening =
    event("response.created", { response: begun }) +
    event("response.in_progress", { response: begun }) +
    event("response.output_item.added", { output_index: 0, item: outputItem(completion, "in_progress") });
  if (completion.tool === null) {
    opening += event("response.content_part.added", { ...item, content_index: 0, part: textPart("") });
  }
  const before = sequence;
  const tokens = completion.tokens.map((delta) => {
    if (completion.tool !== null) return event("response.function_call_arguments.delta", { ...item, delta });
    return event("response.output_text.delta", { ...item, content_index: 0, delta, logprobs: [] });
  });
  const closing =
    contentDone(completion, item, event) +
    event("response.output_item.done", { output_index: 0, item: outputItem(completion, "completed") });
  const final = response(json, completion, context, "final");
  const terminal = event(`response.${final.status}`, { response: final });
  const parts = {
    opening,
    tokens,
    closing,
    terminal,
    ping: ": keep-alive\n\n",
    garbled: 'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":\n\n',
    failure: (tokensSent: number) => {
      sequence = before + tokensSent;
      return event("response.failed", { response: response(json, completion, context, "failed") });
    },
  };
  return streamAnswer(SSE_HEADERS, parts, context.script);
}

function contentDone(
  completion: Completion,
  item: object,
  event: (type: string, fields: object) => string,
): string {
  const text = textOfCompletion(completion);
  if (completion.tool !== null) {
    const { name } = completion.tool;
    return event("response.function_call_arguments.done", { ...item, name, arguments: text });
  }
  return (
    event("response.output_text.done", { ...item, content_index: 0, text, logprobs: [] }) +
    event("response.content_part.done", { ...item, content_index: 0, part: textPart(text) })
  );
}
