import { jsonAnswer, jsonLine, NDJSON_HEADERS, streamAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { asJson, asList, countWords, modelOf, readMessages, textOf, tokensMaxOf } from "./ask.ts";
import type { Ask, Json } from "./ask.ts";
import { complete, textOfCompletion } from "./completion.ts";
import type { Completion } from "./completion.ts";
import { errorAnswer, errorBody, STREAM_ERROR_MESSAGE } from "./errors.ts";
import { readFunctionTool } from "./openai-chat.ts";
import { MODELS } from "./openai-data.ts";
import type { Context, Handler } from "./router.ts";

const NS_PER_TOKEN = 10_000_000;

/** `POST /api/chat`. */
export const chat: Handler = (json, context) => {
  if (!Array.isArray(json["messages"])) return errorAnswer("ollama", 400, null, "messages is required");
  const ask: Ask = {
    model: modelOf(json),
    stream: json["stream"] !== false,
    ...readMessages(asList(json["messages"])),
    tools: asList(json["tools"]).flatMap(readFunctionTool),
    toolChoice: { kind: "auto" },
    tokensMax: tokensMaxOf(asJson(json["options"])["num_predict"]),
    seed: context.seed,
  };
  const completion = complete(context.name, ask, context.script);
  const { tool } = completion;
  if (tool === null) {
    return answer(ask, completion, context, (text) => ({ message: { role: "assistant", content: text } }));
  }
  // Ollama sends a tool call in one piece, with its arguments as an object.
  const call = { function: { name: tool.name, arguments: JSON.parse(textOfCompletion(completion)) as Json } };
  const whole = { ...completion, tokens: [textOfCompletion(completion)] };
  return answer(ask, whole, context, (text) => ({
    message: { role: "assistant", content: "", ...(text === "" ? {} : { tool_calls: [call] }) },
  }));
};

/** `POST /api/generate`. */
export const generate: Handler = (json, context) => {
  const prompt = textOf(json["prompt"]);
  const ask: Ask = {
    model: modelOf(json),
    stream: json["stream"] !== false,
    promptTokens: countWords(prompt) + countWords(textOf(json["system"])),
    question: prompt,
    afterTool: false,
    tools: [],
    toolChoice: { kind: "none" },
    tokensMax: tokensMaxOf(asJson(json["options"])["num_predict"]),
    seed: context.seed,
  };
  return answer(ask, complete(context.name, ask, context.script), context, (text) => ({ response: text }));
};

function answer(ask: Ask, completion: Completion, context: Context, say: (text: string) => object): Answer {
  const base = { model: completion.model, created_at: new Date(context.startedS * 1000).toISOString() };
  const totals = {
    done: true,
    done_reason: completion.finish === "length" ? "length" : "stop",
    ...counts(completion),
  };
  if (!ask.stream) return jsonAnswer(200, { ...base, ...say(textOfCompletion(completion)), ...totals });
  const parts = {
    opening: "",
    tokens: completion.tokens.map((token) => jsonLine({ ...base, ...say(token), done: false })),
    closing: "",
    terminal: jsonLine({ ...base, ...say(""), ...totals }),
    ping: "",
    garbled: '{"model":"garbled","message":{"role":\n',
    failure: () => jsonLine(errorBody("ollama", 500, null, STREAM_ERROR_MESSAGE)),
  };
  return streamAnswer(NDJSON_HEADERS, parts, context.script);
}

/** Durations are in nanoseconds; counts of zero are left out, as Ollama does. */
function counts(completion: Completion): object {
  const { promptTokens, tokens } = completion;
  const promptNs = promptTokens * NS_PER_TOKEN;
  const evalNs = tokens.length * NS_PER_TOKEN;
  return {
    total_duration: promptNs + evalNs,
    load_duration: 0,
    ...(promptTokens === 0 ? {} : { prompt_eval_count: promptTokens }),
    prompt_eval_duration: promptNs,
    ...(tokens.length === 0 ? {} : { eval_count: tokens.length }),
    eval_duration: evalNs,
  };
}

/** `GET /api/tags`: the models at hand. */
export function tags(context: Context): Answer {
  const models = MODELS.map((name) => ({
    name: `${name}:latest`,
    model: `${name}:latest`,
    modified_at: new Date(context.startedS * 1000).toISOString(),
    size: 1_000_000,
    digest: Bun.hash(name).toString(16).padStart(16, "0").repeat(4),
    details: {
      parent_model: "",
      format: "scripted",
      family: "demo",
      families: ["demo"],
      parameter_size: "0B",
      quantization_level: "none",
    },
  }));
  return jsonAnswer(200, { models });
}
