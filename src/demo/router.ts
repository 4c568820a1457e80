import { jsonAnswer, textAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { countTokens, messages } from "./anthropic.ts";
import { readJson } from "./ask.ts";
import type { Json } from "./ask.ts";
import { dialectOf, errorAnswer } from "./errors.ts";
import { chat, generate, tags } from "./ollama.ts";
import { chatCompletions, completions } from "./openai-chat.ts";
import { embeddings, modelById, modelList } from "./openai-data.ts";
import { responses } from "./openai-responses.ts";
import type { Script } from "./script.ts";

/** What an answer may depend on beside the request. */
export interface Context {
  /** Name of the upstream. */
  readonly name: string;
  /** When it was started: the time stamp of its answers, in seconds. */
  readonly startedS: number;
  readonly seed: bigint;
  readonly script: Script;
}

/** Makes the answer to a POST with a JSON object. */
export type Handler = (json: Json, context: Context) => Answer;

/** A request whose body has been read. */
export interface WholeRequest {
  readonly method: string;
  readonly target: string;
  readonly body: Uint8Array;
  /** Content-Encoding of the body, null for none. */
  readonly encoding: string | null;
}

const POSTS = new Map<string, Handler>([
  ["/chat/completions", chatCompletions],
  ["/completions", completions],
  ["/responses", responses],
  ["/embeddings", embeddings],
  ["/messages", messages],
  ["/messages/count_tokens", countTokens],
  ["/api/chat", chat],
  ["/api/generate", generate],
]);

const GETS = new Map<string, (context: Context) => Answer>([
  ["/models", modelList],
  ["/api/tags", tags],
  ["/api/version", () => jsonAnswer(200, { version: "0.0.0-demo" })],
  ["/health", () => textAnswer(200, "OK\n")],
  ["/", (context) => textAnswer(200, `The scripted upstream "${context.name}" is running.\n`)],
]);

/** Path of a request target without its query and without a leading `/v1`. */
export function pathOf(target: string): string {
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  return path.startsWith("/v1/") ? path.slice(3) : path;
}

/** Makes the answer to a request. A pure function: equal requests get equal answers. */
export function answerTo(request: WholeRequest, context: Context): Answer {
  const path = pathOf(request.target);
  const dialect = dialectOf(path);
  const { script } = context;
  if (script.status !== undefined && script.status >= 400) {
    const message = `The scripted upstream "${context.name}" answers ${script.status} as it was told to.`;
    return errorAnswer(dialect, script.status, script.error ?? null, message);
  }
  const post = POSTS.get(path);
  const get = GETS.get(path) ?? (path.startsWith("/models/") ? modelGetter(path) : undefined);
  if (post === undefined && get === undefined) {
    return errorAnswer(dialect, 404, null, `Unknown path: ${request.method} ${path}`);
  }
  if (get !== undefined) {
    if (request.method === "GET" || request.method === "HEAD") return get(context);
    return notAllowed(dialect, "GET, HEAD", request.method);
  }
  if (request.method !== "POST") return notAllowed(dialect, "POST", request.method);
  const read = readJson(request.body, request.encoding);
  if (!read.ok) return errorAnswer(dialect, 400, null, read.problem);
  const answer = (post as Handler)(read.json, context);
  if (script.errorInStream !== undefined && answer.body instanceof Uint8Array && answer.status === 200) {
    return { ...errorAnswer(dialect, 500, script.error ?? null, "The scripted model failed."), status: 200 };
  }
  return answer;
}

function modelGetter(path: string): (context: Context) => Answer {
  return (context) => modelById(path.slice("/models/".length), context);
}

function notAllowed(dialect: ReturnType<typeof dialectOf>, allowed: string, method: string): Answer {
  const answer = errorAnswer(dialect, 405, null, `${method} is not allowed here.`);
  return { ...answer, headers: [...answer.headers, "Allow", allowed] };
}
