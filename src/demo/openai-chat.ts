import { jsonAnswer, sse, SSE_HEADERS, streamAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { asJson, asList, countWords, modelOf, readMessages, textOf, tokensMaxOf } from "./ask.ts";
import type { Ask, Json, Tool } from "./ask.ts";
import { complete, textOfCompletion } from "./completion.ts";
import type { Completion } from "./completion.ts";
import { errorAnswer, errorBody, STREAM_ERROR_MESSAGE } from "./errors.ts";
import type { Handler } from "./router.ts";

/** `POST /chat/completions`. */
export const chatCompletions: Handler = (json, context) => {
  if (!Array.isArray(json["messages"])) {
    return errorAnswer("openai", 400, null, "Missing required parameter: 'messages'.");
  }
  const completion = complete(context.name, readAsk(json, context.seed), context.script);
  const common = { id: `chatcmpl-${completion.tag}`, created: context.startedS, model: completion.model };
  if (json["stream"] === true) return chatStream(completion, common, includesUsage(json), context.script);
  const choice = {
    index: 0,
    message: message(completion),
    logprobs: null,
    finish_reason: finish(completion),
  };
  return jsonAnswer(200, {
    ...common,
    object: "chat.completion",
    choices: [choice],
    usage: usage(completion),
    service_tier: "default",
    system_fingerprint: "fp_demo",
  });
};

/** `POST /completions`, the older API without messages. */
export const completions: Handler = (json, context) => {
  const prompt = textOf(json["prompt"]);
  const completion = complete(context.name, readPromptAsk(json, prompt, context.seed), context.script);
  const common = {
    id: `cmpl-${completion.tag}`,
    object: "text_completion",
    created: context.startedS,
    model: completion.model,
  };
  const choice = (text: string, reason: string | null): object => ({
    index: 0,
    text,
    logprobs: null,
    finish_reason: reason,
  });
  if (json["stream"] !== true) {
    const choices = [choice(textOfCompletion(completion), finish(completion))];
    return jsonAnswer(200, { ...common, choices, usage: usage(completion) });
  }
  const nullUsage = includesUsage(json) ? { usage: null } : {};
  const piece = (text: string, reason: string | null): string =>
    sse({ ...common, choices: [choice(text, reason)], ...nullUsage });
  const totals = includesUsage(json) ? sse({ ...common, choices: [], usage: usage(completion) }) : "";
  const tokens = completion.tokens.map((token) => piece(token, null));
  const parts = { ...SSE_PARTS, opening: "", tokens, closing: piece("", finish(completion)) + totals };
  return streamAnswer(SSE_HEADERS, parts, context.script);
};

const SSE_PARTS = {
  terminal: "data: [DONE]\n\n",
  ping: ": keep-alive\n\n",
  garbled: 'data: {"id":"chatcmpl-garbled","choices":[{"delta":{"content":\n\n',
  failure: () => sse(errorBody("openai", 500, null, STREAM_ERROR_MESSAGE)),
};

function chatStream(
  completion: Completion,
  common: object,
  withUsage: boolean,
  script: Parameters<Handler>[1]["script"],
): Answer {
  const base = {
    ...common,
    object: "chat.completion.chunk",
    service_tier: "default",
    system_fingerprint: "fp_demo",
  };
  const nullUsage = withUsage ? { usage: null } : {};
  const chunk = (delta: object, reason: string | null): string =>
    sse({ ...base, choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }], ...nullUsage });
  const { tool } = completion;
  const head =
    tool === null
      ? { role: "assistant", content: "", refusal: null }
      : { role: "assistant", content: null, tool_calls: [{ index: 0, ...toolCall(tool, "") }] };
  const tokens = completion.tokens.map((token) => {
    if (tool === null) return chunk({ content: token }, null);
    return chunk({ tool_calls: [{ index: 0, function: { arguments: token } }] }, null);
  });
  const totals = withUsage ? sse({ ...base, choices: [], usage: usage(completion) }) : "";
  const closing = chunk({}, finish(completion)) + totals;
  return streamAnswer(SSE_HEADERS, { ...SSE_PARTS, opening: chunk(head, null), tokens, closing }, script);
}

function message(completion: Completion): object {
  const text = textOfCompletion(completion);
  if (completion.tool === null) return { role: "assistant", content: text, refusal: null, annotations: [] };
  return { role: "assistant", content: null, refusal: null, tool_calls: [toolCall(completion.tool, text)] };
}

function toolCall(tool: { name: string; callId: string }, text: string): object {
  return { id: tool.callId, type: "function", function: { name: tool.name, arguments: text } };
}

function finish(completion: Completion): string {
  return completion.finish === "tool" ? "tool_calls" : completion.finish;
}

function usage(completion: Completion): object {
  const completionTokens = completion.tokens.length;
  return {
    prompt_tokens: completion.promptTokens,
    completion_tokens: completionTokens,
    total_tokens: completion.promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
}

function includesUsage(json: Json): boolean {
  return asJson(json["stream_options"])["include_usage"] === true;
}

function readAsk(json: Json, seed: bigint): Ask {
  return {
    model: modelOf(json),
    stream: json["stream"] === true,
    ...readMessages(asList(json["messages"])),
    tools: asList(json["tools"]).flatMap(readFunctionTool),
    toolChoice: readToolChoice(json["tool_choice"]),
    tokensMax: tokensMaxOf(json["max_completion_tokens"] ?? json["max_tokens"]),
    seed,
  };
}

function readPromptAsk(json: Json, prompt: string, seed: bigint): Ask {
  return {
    model: modelOf(json),
    stream: json["stream"] === true,
    promptTokens: countWords(prompt),
    question: prompt,
    afterTool: false,
    tools: [],
    toolChoice: { kind: "none" },
    tokensMax: tokensMaxOf(json["max_tokens"]),
    seed,
  };
}

/** A tool as OpenAI's chat and Ollama write it; none where it is not a function. */
export function readFunctionTool(item: unknown): Tool[] {
  const description = asJson(asJson(item)["function"]);
  if (typeof description["name"] !== "string") return [];
  return [{ name: description["name"], parameters: asJson(description["parameters"]) }];
}

/** `tool_choice` as OpenAI's chat and responses write it. */
export function readToolChoice(choice: unknown): Ask["toolChoice"] {
  if (choice === "none") return { kind: "none" };
  if (choice === "required") return { kind: "any" };
  const object = asJson(choice);
  const name = asJson(object["function"])["name"] ?? object["name"];
  return typeof name === "string" ? { kind: "named", name } : { kind: "auto" };
}
