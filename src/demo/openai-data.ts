import { jsonAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { asList, countWords, modelOf } from "./ask.ts";
import { errorAnswer } from "./errors.ts";
import type { Context, Handler } from "./router.ts";

const DIMENSIONS = 256;
const DIMENSIONS_MAX = 4096;
const INPUTS_MAX = 2048;

/** Models that the demo upstreams say they have; any other name is answered as well. */
export const MODELS = ["demo-1", "demo-1-mini", "demo-embedding"] as const;

/** `POST /embeddings`: unit vectors that depend on the text alone. */
export const embeddings: Handler = (json) => {
  const inputs = readInputs(json["input"]);
  if (inputs.length === 0 || inputs.length > INPUTS_MAX) {
    return errorAnswer("openai", 400, null, `'input' must hold 1 to ${INPUTS_MAX} texts.`);
  }
  const dimensions = json["dimensions"] ?? DIMENSIONS;
  if (typeof dimensions !== "number" || !(dimensions >= 1 && dimensions <= DIMENSIONS_MAX)) {
    return errorAnswer("openai", 400, null, `'dimensions' must be a number from 1 to ${DIMENSIONS_MAX}.`);
  }
  const base64 = json["encoding_format"] === "base64";
  let promptTokens = 0;
  const data = inputs.map((input, index) => {
    promptTokens += typeof input === "string" ? countWords(input) : input.length;
    const vector = vectorOf(typeof input === "string" ? input : input.join(" "), Math.floor(dimensions));
    const embedding = base64 ? Buffer.from(vector.buffer).toString("base64") : Array.from(vector);
    return { object: "embedding", index, embedding };
  });
  const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens };
  return jsonAnswer(200, { object: "list", data, model: modelOf(json), usage });
};

/** A text, several, the token numbers of one, or of several. */
function readInputs(input: unknown): (string | number[])[] {
  if (typeof input === "string") return [input];
  const list = asList(input);
  if (list.every((item) => typeof item === "string")) return list as string[];
  if (list.every((item) => typeof item === "number")) return [list as number[]];
  return list.filter((item): item is number[] => Array.isArray(item));
}

/** A unit vector made of the text's hash with the steps of xorshift32 (Marsaglia 2003), little-endian in memory. */
function vectorOf(text: string, dimensions: number): Float32Array<ArrayBuffer> {
  let state = Number(BigInt.asUintN(32, Bun.hash.xxHash64(text))) || 1;
  const vector = new Float32Array(dimensions);
  let squares = 0;
  for (let at = 0; at < dimensions; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const value = (state | 0) / 0x80000000;
    vector[at] = value;
    squares += value * value;
  }
  const length = Math.sqrt(squares);
  for (let at = 0; at < dimensions; at++) vector[at] = (vector[at] as number) / length;
  return vector;
}

/** `GET /models`. */
export function modelList(context: Context): Answer {
  return jsonAnswer(200, { object: "list", data: MODELS.map((id) => model(id, context)) });
}

/** `GET /models/{id}`. */
export function modelById(id: string, context: Context): Answer {
  if ((MODELS as readonly string[]).includes(id)) return jsonAnswer(200, model(id, context));
  return errorAnswer("openai", 404, "model_not_found", `The model '${id}' does not exist.`);
}

function model(id: string, context: Context): object {
  return { id, object: "model", created: context.startedS, owned_by: `llmproxy-${context.name}` };
}
