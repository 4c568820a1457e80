import { buildRoutes, type RouteNode } from "./api-routes.ts";

/**
 * What a request path speaks. Chosen by path, not by upstream: vLLM, SGLang, Ollama and llama.cpp serve the paths of
 * OpenAI and of Anthropic alike.
 *
 * `openai-stored`: a response made before, fetched again. `openai-media`: images and audio. `other`: a known path that
 * generates nothing. `unknown`: not a known path.
 */
export type Dialect =
  | "openai-chat"
  | "openai-completions"
  | "openai-embeddings"
  | "openai-responses"
  | "openai-stored"
  | "openai-media"
  | "anthropic-messages"
  | "gemini-generate"
  | "ollama-generate"
  | "ollama-embed"
  | "other"
  | "unknown";

/** Whose SDK will read an error of ours: Anthropic's, or that of OpenAI and everybody else. */
export type ErrorShape = "openai" | "anthropic" | "ollama";

/**
 * Who decides whether the response is streamed: the path (`always`, `never`), or the request, whose `stream` is taken
 * for false (`if-asked`) or for true (`unless-refused`) when it is absent.
 */
export type Streaming = "always" | "never" | "if-asked" | "unless-refused";

/** What the path of a request tells. */
export interface ApiPath {
  /**
   * The path as a metrics label, one of a fixed set: without prefix, with `/v1` where the API has it, parameters
   * folded (`/v1/responses/{response_id}`); `other` for unknown paths.
   */
  readonly label: string;
  readonly dialect: Dialect;
  readonly errorShape: ErrorShape;
  readonly streaming: Streaming;
}

/** Dialects whose streams have an end that can be told from a cut. */
const STREAMED: ReadonlySet<Dialect> = new Set([
  "openai-chat",
  "openai-completions",
  "openai-responses",
  "openai-stored",
  "openai-media",
  "anthropic-messages",
  "gemini-generate",
  "ollama-generate",
]);

/** Whether a stream of this dialect that ends without saying so is truncated. */
export function hasTerminalEvent(dialect: Dialect): boolean {
  return STREAMED.has(dialect);
}

const METHODS: ReadonlySet<string> = new Set(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]);

/** Gives the request method as a metrics label: one of the seven usual ones, or `other`. */
export function methodLabelOf(method: string): string {
  return METHODS.has(method) ? method : "other";
}

const { root, byPath, byMethod } = buildRoutes();

const UNKNOWN: ApiPath = Object.freeze({
  label: "other",
  dialect: "unknown",
  errorShape: "openai",
  streaming: "if-asked",
});
const UNKNOWN_ANTHROPIC: ApiPath = Object.freeze({ ...UNKNOWN, errorShape: "anthropic" });

/** Longer paths, or paths of more segments, belong to no API that is known here. */
const PATH_CHARS_MAX = 1024;
const SEGMENTS_MAX = 24;
/** Segments that end the prefix under which a gateway or cloud mounts somebody's API. */
const MOUNTS: ReadonlySet<string> = new Set(["openai", "anthropic", "openapi", "compat"]);
const MODEL_CHARS_MAX = 256;

/**
 * Tells what a request target, with or without its query, asks for. Any prefix may stand before the API's own path:
 * `/v1/chat/completions`, `/chat/completions` and `/gateway/openai/v1/chat/completions` are the same.
 *
 * One table look-up in the common case; otherwise bounded by the limits above. No regular expressions.
 */
export function describePath(target: string): ApiPath {
  const path = withoutQuery(target);
  return byPath.get(path) ?? search(path);
}

/** Gives the path as a metrics label, one of a fixed set; `other` for unknown paths. */
export function apiPathOf(target: string): string {
  return describePath(target).label;
}

/** Gives the dialect that the path speaks. */
export function dialectOf(target: string): Dialect {
  return describePath(target).dialect;
}

/** Gives the shape of an error made for this path: Anthropic's on `/v1/messages`, `/messages` and below, Ollama's on its own, else OpenAI's. */
export function errorShapeOf(target: string): ErrorShape {
  return describePath(target).errorShape;
}

/** Gives the model, where the path names it: an Azure deployment, a Gemini or Bedrock model. Else null. */
export function modelInPath(target: string): string | null {
  if (byPath.has(target)) return null;
  const segments = segmentsOf(withoutQuery(target));
  if (segments === null) return null;
  const last = segments.at(-1)!;
  const colon = last.lastIndexOf(":");
  if (colon > 0 && byMethod.has(last.slice(colon + 1))) return decoded(last.slice(0, colon));
  const deployments = segments.lastIndexOf("deployments");
  if (deployments > 0 && segments[deployments - 1] === "openai") return decoded(segments[deployments + 1]);
  const isBedrock = segments.at(-3) === "model" && describePath(target).label.startsWith("/model/");
  return isBedrock ? decoded(segments.at(-2)) : null;
}

function withoutQuery(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

/** Null when the path is longer than any API's. A slash at the end says nothing. */
function segmentsOf(path: string): string[] | null {
  if (path.length > PATH_CHARS_MAX || path.length < 2) return null;
  const end = path.endsWith("/") ? path.length - 1 : path.length;
  const segments = path.slice(1, end).split("/", SEGMENTS_MAX + 1);
  return segments.length > SEGMENTS_MAX ? null : segments;
}

/** Tries to read the path as prefix and API path, the shortest prefix first. */
function search(path: string): ApiPath {
  const segments = segmentsOf(path);
  if (segments === null) return UNKNOWN;
  const method = byMethodOf(segments);
  if (method !== null) return method;
  let versioned = false;
  for (let at = 0; at < segments.length; at++) {
    const previous = at === 0 ? null : segments[at - 1]!;
    const isMount = previous === null || isVersion(previous) || MOUNTS.has(previous);
    versioned ||= previous !== null && isVersion(previous);
    const route = follow(root, segments, at);
    // One word in the middle of a longer path is not an API: `/v1/skills/{skill_id}/files`.
    if (route !== null && (isMount || !versioned || segments.length - at > 1)) return route;
    if (isMount && segments[at] === "messages") return UNKNOWN_ANTHROPIC;
  }
  return UNKNOWN;
}

function byMethodOf(segments: readonly string[]): ApiPath | null {
  const last = segments.at(-1)!;
  const colon = last.lastIndexOf(":");
  if (colon <= 0) return null;
  const kind = segments.at(-2);
  const isModel = kind === "models" || kind === "tunedModels" || kind === "endpoints";
  return isModel ? (byMethod.get(last.slice(colon + 1)) ?? null) : null;
}

/** Names win over parameters. The tree is a few levels deep, so trying both is bounded. */
function follow(node: RouteNode, segments: readonly string[], at: number): ApiPath | null {
  if (at === segments.length) return node.route;
  const segment = segments[at]!;
  if (segment === "") return null;
  const child = node.children.get(segment);
  const named = child === undefined ? null : follow(child, segments, at + 1);
  if (named !== null) return named;
  const folded = node.parameter === null ? null : follow(node.parameter, segments, at + 1);
  return folded ?? node.rest;
}

/** `v1`, `v1beta`, `v4`. */
function isVersion(segment: string): boolean {
  const digit = segment.charCodeAt(1);
  return segment.charCodeAt(0) === 118 && digit >= 48 && digit <= 57;
}

function decoded(segment: string | undefined): string | null {
  if (segment === undefined || segment === "" || segment.length > MODEL_CHARS_MAX) return null;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
