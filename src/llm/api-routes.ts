import type { ApiPath, Dialect } from "./dialect.ts";

/**
 * The paths that have a label of their own, by dialect. A leading `/v1` may be missing in a request. `{name}` stands for
 * one segment, `{name+}` for one or more.
 */
const TEMPLATES: readonly (readonly [Dialect, readonly string[]])[] = [
  [
    "openai-chat",
    [
      "/v1/chat/completions",
      "/openai/deployments/{deployment}/chat/completions",
      "/openai/deployments/{deployment}/extensions/chat/completions",
    ],
  ],
  ["openai-completions", ["/v1/completions", "/openai/deployments/{deployment}/completions"]],
  ["openai-embeddings", ["/v1/embeddings", "/openai/deployments/{deployment}/embeddings"]],
  ["openai-responses", ["/v1/responses", "/v1/responses/compact"]],
  ["openai-stored", ["/v1/responses/{response_id}", "/v1/responses/{response_id}/cancel"]],
  [
    "openai-media",
    [
      "/v1/audio/speech",
      "/v1/audio/transcriptions",
      "/v1/audio/translations",
      "/v1/images/generations",
      "/v1/images/edits",
      "/v1/images/variations",
      "/openai/deployments/{deployment}/audio/speech",
      "/openai/deployments/{deployment}/audio/transcriptions",
      "/openai/deployments/{deployment}/audio/translations",
      "/openai/deployments/{deployment}/images/generations",
      "/openai/deployments/{deployment}/images/edits",
    ],
  ],
  ["anthropic-messages", ["/v1/messages"]],
  ["ollama-generate", ["/api/chat", "/api/generate"]],
  ["ollama-embed", ["/api/embed"]],
  [
    "other",
    [
      "/v1/responses/input_tokens",
      "/v1/responses/{response_id}/input_items",
      "/v1/chat/completions/{completion_id}",
      "/v1/chat/completions/{completion_id}/messages",
      "/v1/conversations",
      "/v1/conversations/{conversation_id}",
      "/v1/conversations/{conversation_id}/items",
      "/v1/conversations/{conversation_id}/items/{item_id}",
      "/v1/models",
      "/v1/models/{model+}",
      "/v1/moderations",
      "/v1/files",
      "/v1/files/{file_id}",
      "/v1/files/{file_id}/content",
      "/v1/uploads",
      "/v1/uploads/{upload_id}/parts",
      "/v1/uploads/{upload_id}/complete",
      "/v1/uploads/{upload_id}/cancel",
      "/v1/batches",
      "/v1/batches/{batch_id}",
      "/v1/batches/{batch_id}/cancel",
      "/v1/fine_tuning/jobs",
      "/v1/fine_tuning/jobs/{job_id}",
      "/v1/fine_tuning/jobs/{job_id}/events",
      "/v1/fine_tuning/jobs/{job_id}/checkpoints",
      "/v1/fine_tuning/jobs/{job_id}/cancel",
      "/v1/vector_stores",
      "/v1/vector_stores/{vector_store_id}",
      "/v1/vector_stores/{vector_store_id}/search",
      "/v1/vector_stores/{vector_store_id}/files",
      "/v1/vector_stores/{vector_store_id}/files/{file_id}",
      "/v1/assistants",
      "/v1/assistants/{assistant_id}",
      "/v1/threads",
      "/v1/threads/runs",
      "/v1/threads/{thread_id}",
      "/v1/threads/{thread_id}/messages",
      "/v1/threads/{thread_id}/messages/{message_id}",
      "/v1/threads/{thread_id}/runs",
      "/v1/threads/{thread_id}/runs/{run_id}",
      "/v1/threads/{thread_id}/runs/{run_id}/submit_tool_outputs",
      "/v1/realtime",
      "/v1/realtime/sessions",
      "/v1/realtime/client_secrets",
      "/v1/videos",
      "/v1/videos/{video_id}",
      "/v1/videos/{video_id}/content",
      "/v1/containers",
      "/v1/containers/{container_id}",
      "/v1/messages/count_tokens",
      "/v1/messages/batches",
      "/v1/messages/batches/{batch_id}",
      "/v1/messages/batches/{batch_id}/results",
      "/v1/messages/batches/{batch_id}/cancel",
      "/api/embeddings",
      "/api/tags",
      "/api/ps",
      "/api/show",
      "/api/version",
      "/api/pull",
      "/api/push",
      "/api/create",
      "/api/copy",
      "/api/delete",
      "/api/blobs/{digest}",
      "/v1/rerank",
      "/v2/rerank",
      "/v1/score",
      "/health",
      "/tokenize",
      "/detokenize",
      "/completion",
      "/infill",
      "/props",
      "/slots",
      "/version",
      "/model/{model}/invoke",
      "/model/{model}/invoke-with-response-stream",
      "/model/{model}/converse",
      "/model/{model}/converse-stream",
    ],
  ],
];

/** Gemini's methods stand behind a colon in the last segment: `/v1beta/models/{model}:generateContent`. */
const METHODS: readonly (readonly [string, Dialect])[] = [
  ["generateContent", "gemini-generate"],
  ["streamGenerateContent", "gemini-generate"],
  ["countTokens", "other"],
  ["embedContent", "other"],
  ["batchEmbedContents", "other"],
  ["predict", "other"],
  // Anthropic's models on Vertex AI.
  ["rawPredict", "anthropic-messages"],
  ["streamRawPredict", "anthropic-messages"],
];

/** One step of the way from the beginning of an API's path to its route. */
export interface RouteNode {
  readonly children: Map<string, RouteNode>;
  parameter: RouteNode | null;
  /** The route that takes all segments that are left. */
  rest: ApiPath | null;
  route: ApiPath | null;
}

/** All routes: as a tree of segments without a leading `/v1`, and by whole path where there is no parameter. */
export interface Routes {
  readonly root: RouteNode;
  readonly byPath: ReadonlyMap<string, ApiPath>;
  readonly byMethod: ReadonlyMap<string, ApiPath>;
}

/** Builds the routes from the tables above. */
export function buildRoutes(): Routes {
  const root = newNode();
  const byPath = new Map<string, ApiPath>();
  for (const [dialect, templates] of TEMPLATES) {
    for (const template of templates) {
      const route = apiPath(template.replace("+}", "}"), dialect);
      addRoute(root, template, route);
      if (template.includes("{")) continue;
      byPath.set(template, route);
      if (template.startsWith("/v1/")) byPath.set(template.slice(3), route);
    }
  }
  const byMethod = new Map<string, ApiPath>();
  for (const [method, dialect] of METHODS) {
    const version = dialect === "anthropic-messages" ? "v1" : "v1beta";
    byMethod.set(method, apiPath(`/${version}/models/{model}:${method}`, dialect));
  }
  return { root, byPath, byMethod };
}

function apiPath(label: string, dialect: Dialect): ApiPath {
  const isAnthropic = dialect === "anthropic-messages" || label.startsWith("/v1/messages");
  return Object.freeze({
    label,
    dialect,
    errorShape: isAnthropic ? "anthropic" : dialect.startsWith("ollama-") ? "ollama" : "openai",
    streaming: streamingOf(label, dialect),
  });
}

function streamingOf(label: string, dialect: Dialect): ApiPath["streaming"] {
  if (/:stream|-stream$/.test(label)) return "always";
  if (dialect === "ollama-generate") return "unless-refused";
  const isNever =
    dialect === "gemini-generate" || dialect.endsWith("-embed") || dialect === "openai-embeddings";
  return isNever ? "never" : "if-asked";
}

function addRoute(root: RouteNode, template: string, route: ApiPath): void {
  const segments = template.split("/").slice(1);
  let node = root;
  for (const segment of segments[0] === "v1" ? segments.slice(1) : segments) {
    if (segment.endsWith("+}")) {
      node.rest = route;
      return;
    }
    if (segment.startsWith("{")) {
      node.parameter ??= newNode();
      node = node.parameter;
      continue;
    }
    let child = node.children.get(segment);
    if (child === undefined) node.children.set(segment, (child = newNode()));
    node = child;
  }
  node.route = route;
}

function newNode(): RouteNode {
  return { children: new Map(), parameter: null, rest: null, route: null };
}
