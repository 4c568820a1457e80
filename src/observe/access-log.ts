import type { Usage } from "../llm/usage.ts";
import type { LineBytes } from "./line-bytes.ts";
import { cut, fieldText } from "./text.ts";

/** One attempt on an upstream, as the access log tells it. */
export interface AccessAttempt {
  readonly upstream: string;
  /** Null when there was no answer. */
  readonly status: number | null;
  readonly error: string | null;
  readonly ms: number;
  /** It probed a half-open breaker. */
  readonly probe: boolean;
}

/** What became of a request, as its client saw it. */
export type AccessOutcome = "ok" | "error" | "client_gone";

/** All that the access log tells of a request. Texts are as they came; they are cut and escaped here. */
export interface AccessRecord {
  /** When it ended: milliseconds since 1970. */
  readonly endedMs: number;
  readonly requestId: string;
  readonly forward: string;
  readonly client: string;
  /** Null when what came was no request. */
  readonly method: string | null;
  /** Path, and query where there is one, as sent. Null as above. */
  readonly target: string | null;
  /** The model asked for. */
  readonly model: string | null;
  /** The model that answered, as the upstream names it. */
  readonly responseModel: string | null;
  /** Whether a stream was asked for, or given. */
  readonly stream: boolean | null;
  readonly group: string;
  readonly attempts: readonly AccessAttempt[];
  /** Upstreams passed by since their breakers refuse. */
  readonly rejected: readonly string[];
  /** As sent to the client; null when it left before. */
  readonly status: number | null;
  readonly outcome: AccessOutcome;
  /** Code of what went wrong for the client. */
  readonly error: string | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** To the first output of the model in a stream. */
  readonly ttftMs: number | null;
  readonly durationMs: number | null;
  readonly usage: Usage | null;
}

export type AccessFormat = "json" | "text";

const PATH_CHARS_MAX = 2048;
const TEXT_CHARS_MAX = 256;

/** Writes one line, with its line end, of printable ASCII. `query`: tell the query too, secrets left out. */
export function writeAccessLine(
  to: LineBytes,
  record: AccessRecord,
  format: AccessFormat,
  query: boolean,
): void {
  if (format === "json") writeJsonLine(to, record, query);
  else to.ascii(textLine(record, query));
}

function writeJsonLine(to: LineBytes, r: AccessRecord, query: boolean): void {
  const { usage } = r;
  to.ascii('{"time":"');
  to.time(r.endedMs);
  to.ascii('","request_id":');
  to.json(cut(r.requestId, TEXT_CHARS_MAX));
  to.ascii(',"forward":');
  to.json(r.forward);
  to.ascii(',"client":');
  to.json(r.client);
  to.ascii(',"method":');
  to.json(cutOrNull(r.method));
  to.ascii(',"path":');
  to.json(pathOf(r.target, query));
  to.ascii(',"model":');
  to.json(cutOrNull(r.model));
  to.ascii(',"response_model":');
  to.json(cutOrNull(r.responseModel));
  to.ascii(',"stream":');
  to.ascii(r.stream === null ? "null" : r.stream ? "true" : "false");
  to.ascii(',"group":');
  to.json(r.group);
  to.ascii(',"attempts":[');
  for (let i = 0; i < r.attempts.length; i++) writeJsonAttempt(to, r.attempts[i]!, i === 0);
  to.ascii('],"rejected":[');
  for (let i = 0; i < r.rejected.length; i++) {
    if (i > 0) to.ascii(",");
    to.json(r.rejected[i]!);
  }
  to.ascii('],"status":');
  to.number(r.status);
  to.ascii(',"outcome":');
  to.json(r.outcome);
  to.ascii(',"error":');
  to.json(r.error);
  to.ascii(',"bytes_in":');
  to.number(r.bytesIn);
  to.ascii(',"bytes_out":');
  to.number(r.bytesOut);
  to.ascii(',"ttft_ms":');
  to.thousandths(r.ttftMs);
  to.ascii(',"duration_ms":');
  to.thousandths(r.durationMs);
  to.ascii(',"input_tokens":');
  to.number(usage === null ? null : usage.inputTokens);
  to.ascii(',"output_tokens":');
  to.number(usage === null ? null : usage.outputTokens);
  to.ascii(',"cached_tokens":');
  to.number(usage === null ? null : usage.cachedTokens);
  to.ascii(',"reasoning_tokens":');
  to.number(usage === null ? null : usage.reasoningTokens);
  to.ascii("}\n");
}

function writeJsonAttempt(to: LineBytes, attempt: AccessAttempt, isFirst: boolean): void {
  to.ascii(isFirst ? '{"upstream":' : ',{"upstream":');
  to.json(attempt.upstream);
  to.ascii(',"status":');
  to.number(attempt.status);
  to.ascii(',"error":');
  to.json(attempt.error);
  to.ascii(',"ms":');
  to.thousandths(attempt.ms);
  to.ascii(attempt.probe ? ',"probe":true}' : "}");
}

function textLine(r: AccessRecord, query: boolean): string {
  const attempts = r.attempts.map(
    ({ upstream, status, error, ms }) => `${upstream}:${error ?? status}:${rounded(ms)}ms`,
  );
  const fields: [string, string | number | boolean | null][] = [
    ["forward", r.forward],
    ["client", r.client],
    ["method", cutOrNull(r.method)],
    ["path", pathOf(r.target, query)],
    ["status", r.status],
    ["outcome", r.outcome],
    ["error", r.error],
    ["duration_ms", rounded(r.durationMs)],
    ["ttft_ms", rounded(r.ttftMs)],
    ["model", cutOrNull(r.model)],
    ["response_model", cutOrNull(r.responseModel)],
    ["stream", r.stream],
    ["group", r.group],
    ["attempts", attempts.join(",")],
    ["rejected", r.rejected.join(",")],
    ["bytes_in", r.bytesIn],
    ["bytes_out", r.bytesOut],
    ["input_tokens", r.usage?.inputTokens ?? null],
    ["output_tokens", r.usage?.outputTokens ?? null],
    ["cached_tokens", r.usage?.cachedTokens ?? null],
    ["reasoning_tokens", r.usage?.reasoningTokens ?? null],
    ["request_id", cut(r.requestId, TEXT_CHARS_MAX)],
  ];
  let line = new Date(r.endedMs).toISOString();
  for (const [name, value] of fields)
    line += ` ${name}=${value === null || value === "" ? "-" : fieldText(String(value))}`;
  return `${line}\n`;
}

function pathOf(target: string | null, query: boolean): string | null {
  if (target === null) return null;
  const mark = target.indexOf("?");
  if (mark < 0) return cut(target, PATH_CHARS_MAX);
  const path = cut(target.slice(0, mark), PATH_CHARS_MAX);
  return query ? `${path}?${withoutSecrets(cut(target.slice(mark + 1), PATH_CHARS_MAX))}` : path;
}

/** Gemini takes its key in the query, Azure and others tokens and signatures. */
const SECRET_NAME = /key|token|secret|sig|auth|pass|cred|code/i;

function withoutSecrets(query: string): string {
  return query.replace(/([^&;=]*)=([^&;]*)/g, (pair, name: string) =>
    SECRET_NAME.test(decoded(name)) ? `${name}=***` : pair,
  );
}

/** A name may be written with escapes so as not to be known. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function cutOrNull(text: string | null): string | null {
  return text === null ? null : cut(text, TEXT_CHARS_MAX);
}

/** To a thousandth. */
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1000) / 1000;
}
