import type { ApiPath } from "./dialect.ts";
import { isClosed } from "./json.ts";
import { KnownBeginning } from "./known-beginning.ts";
import { LastText } from "./last-text.ts";
import { TopLevel } from "./top-level.ts";

/** What a request says of itself, for logs and labels. Null = unknown, or not said. */
export interface RequestPeek {
  readonly model: string | null;
  readonly stream: boolean | null;
  /** It does not say `stream`, as far as that can be known. */
  readonly isStreamUnsaid: boolean;
}

const NAMES = ["model", "stream"].map((name) => new TextEncoder().encode(name));
const MODEL_AND_STREAM = new TopLevel(NAMES);
const MODEL_ONLY = new TopLevel(NAMES.slice(0, 1));
const STREAM_KEY = Buffer.from('"stream"', "latin1");
/** In a body up to this size the key is searched for by its bytes. */
const SEARCHED_BYTES_MAX = 16 * 1024;
const MODEL_BYTES_MAX = 256;
/** How far to look from either end: at first, and once more if the model was not there. */
const NEAR_STEPS = 1024;
const FAR_STEPS = 20 * 1024;
const LEFT_BRACE = 123;
const LOWER_T = 116;
const LOWER_F = 102;

/**
 * Reads `model` and `stream` from the top level of a JSON request body, without parsing it. Whether it is JSON the body
 * tells best: curl's `-d` says form data of it, and servers take that. One that does not begin as a JSON object does
 * (compressed, multipart, other JSON) is unknown; nothing here is a reason to refuse it. Never throws.
 *
 * Costs 1 to 5 us when the model stands near the beginning or the end of the body, however long that is (`stream` is then
 * looked for no further). With long `messages` before it and long `tools` behind it, up to a few hundred: never more than
 * `FAR_STEPS` from either end, beyond which both are unknown.
 */
export function peekRequest(body: Uint8Array): RequestPeek {
  // Mostly so, and then no way past all messages is needed.
  const isUnsaid = body.length <= SEARCHED_BYTES_MAX && isObject(body) && !holds(body, STREAM_KEY);
  if (isUnsaid) return { model: modelOf(body), stream: null, isStreamUnsaid: true };
  find(MODEL_AND_STREAM, body);
  return {
    model: modelFound(MODEL_AND_STREAM, body),
    stream: flagIn(body, MODEL_AND_STREAM.start(1), MODEL_AND_STREAM.end(1)),
    isStreamUnsaid: MODEL_AND_STREAM.isWhole,
  };
}

const known = new KnownBeginning();

function modelOf(body: Uint8Array): string | null {
  if (known.begins(body)) return known.model;
  find(MODEL_ONLY, body);
  const model = modelFound(MODEL_ONLY, body);
  if (model !== null && MODEL_ONLY.isSettledByBeginning) known.missed(body, MODEL_ONLY.end(0), model);
  return model;
}

function find(members: TopLevel, body: Uint8Array): void {
  members.find(body, NEAR_STEPS);
  if (members.start(0) < 0 && !members.isWhole) members.find(body, FAR_STEPS);
}

/** Whether a body begins and ends as a JSON object does. */
function isObject(body: Uint8Array): boolean {
  return body[0] === LEFT_BRACE && isClosed(body, 0, body.length);
}

function holds(body: Uint8Array, bytes: Buffer): boolean {
  return Buffer.prototype.indexOf.call(body, bytes) >= 0;
}

/**
 * Tells whether the request asks for a streamed response; null = unknown. Paths decide it for some APIs, and a request
 * that says nothing means different things to others.
 */
export function wantsStream(path: ApiPath, peek: RequestPeek): boolean | null {
  if (path.streaming === "always" || path.streaming === "never") return path.streaming === "always";
  if (peek.stream !== null || !peek.isStreamUnsaid) return peek.stream;
  return path.streaming === "unless-refused";
}

/** Most requests name the same model. */
const models = new LastText();

function modelFound(members: TopLevel, body: Uint8Array): string | null {
  const start = members.start(0);
  const end = members.end(0);
  if (start < 0 || end - start > MODEL_BYTES_MAX + 2) return null;
  return models.parse(body, start, end) || null;
}

function flagIn(body: Uint8Array, start: number, end: number): boolean | null {
  if (start < 0) return null;
  if (body[start] === LOWER_T && end - start >= 4) return true;
  return body[start] === LOWER_F && end - start >= 5 ? false : null;
}
