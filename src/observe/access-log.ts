import type { Usage } from "../llm/usage.ts";
import type { LineBatcher, LogEntry } from "./line-batcher.ts";
import type { LineBytes } from "./line-bytes.ts";
import { MemberPhrase } from "./member-phrase.ts";
import { Phrase } from "./phrase.ts";
import { SameRequest } from "./same-request.ts";
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

/** The access log of one worker, in the form that its configuration asks for. */
export class AccessLog {
  private readonly batcher: LineBatcher;
  private readonly format: AccessFormat;
  private readonly query: boolean;

  /** `query`: tell the query too, secrets left out. */
  constructor(batcher: LineBatcher, format: AccessFormat, query: boolean) {
    this.batcher = batcher;
    this.format = format;
    this.query = query;
  }

  /** Takes a request that is over. It is asked a little later to write its line, by `write`. */
  add(entry: LogEntry): void {
    this.batcher.add(entry);
  }

  /** Writes the line of one request. */
  write(to: LineBytes, record: AccessRecord): void {
    writeAccessLine(to, record, this.format, this.query);
  }
}

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

const P = {
  time: new Phrase('{"time":"'),
  requestId: new MemberPhrase('","request_id":'),
  forward: new MemberPhrase(',"forward":'),
  client: new MemberPhrase(',"client":'),
  method: new MemberPhrase(',"method":'),
  path: new MemberPhrase(',"path":'),
  model: new MemberPhrase(',"model":'),
  responseModel: new MemberPhrase(',"response_model":'),
  stream: new Phrase(',"stream":true'),
  noStream: new Phrase(',"stream":false'),
  unknownStream: new Phrase(',"stream":null'),
  group: new MemberPhrase(',"group":'),
  attempts: new Phrase(',"attempts":['),
  upstream: new MemberPhrase('{"upstream":'),
  nextUpstream: new MemberPhrase(',{"upstream":'),
  attemptStatus: new MemberPhrase(',"status":'),
  attemptError: new MemberPhrase(',"error":'),
  attemptMs: new MemberPhrase(',"ms":'),
  attemptEnd: new Phrase("}"),
  probeEnd: new Phrase(',"probe":true}'),
  rejected: new MemberPhrase('],"rejected":['),
  nextRejected: new MemberPhrase(","),
  noneRejected: new Phrase('],"rejected":['),
  status: new MemberPhrase('],"status":'),
  ok: new Phrase(',"outcome":"ok"'),
  clientGone: new Phrase(',"outcome":"client_gone"'),
  failed: new Phrase(',"outcome":"error"'),
  error: new MemberPhrase(',"error":'),
  bytesIn: new MemberPhrase(',"bytes_in":'),
  bytesOut: new MemberPhrase(',"bytes_out":'),
  ttft: new MemberPhrase(',"ttft_ms":'),
  duration: new MemberPhrase(',"duration_ms":'),
  inputTokens: new MemberPhrase(',"input_tokens":'),
  outputTokens: new MemberPhrase(',"output_tokens":'),
  cachedTokens: new MemberPhrase(',"cached_tokens":'),
  reasoningTokens: new MemberPhrase(',"reasoning_tokens":'),
  end: new Phrase("}\n"),
};

function writeJsonLine(to: LineBytes, r: AccessRecord, query: boolean): void {
  const { usage, attempts, rejected } = r;
  to.phrase(P.time);
  to.time(r.endedMs);
  to.json(P.requestId, cut(r.requestId, TEXT_CHARS_MAX));
  to.repeated(P.forward, r.forward);
  to.repeated(P.client, r.client);
  writeJsonRequest(to, r, query);
  to.phrase(P.attempts);
  for (let i = 0; i < attempts.length; i++)
    writeJsonAttempt(to, i === 0 ? P.upstream : P.nextUpstream, attempts[i]!);
  if (rejected.length === 0) to.phrase(P.noneRejected);
  for (let i = 0; i < rejected.length; i++) to.json(i === 0 ? P.rejected : P.nextRejected, rejected[i]!);
  to.number(P.status, r.status);
  to.phrase(r.outcome === "ok" ? P.ok : r.outcome === "error" ? P.failed : P.clientGone);
  to.json(P.error, r.error);
  to.number(P.bytesIn, r.bytesIn);
  to.number(P.bytesOut, r.bytesOut);
  to.thousandths(P.ttft, r.ttftMs);
  to.thousandths(P.duration, r.durationMs);
  to.number(P.inputTokens, usage === null ? null : usage.inputTokens);
  to.number(P.outputTokens, usage === null ? null : usage.outputTokens);
  to.number(P.cachedTokens, usage === null ? null : usage.cachedTokens);
  to.number(P.reasoningTokens, usage === null ? null : usage.reasoningTokens);
  to.phrase(P.end);
}

const sameRequest = new SameRequest();

/** What is asked for, and of which group. */
function writeJsonRequest(to: LineBytes, r: AccessRecord, query: boolean): void {
  if (sameRequest.is(r, query)) return to.phrase(sameRequest.phrase);
  const from = to.length;
  to.repeated(P.method, cutOrNull(r.method));
  to.repeated(P.path, pathOf(r.target, query));
  to.repeated(P.model, cutOrNull(r.model));
  to.repeated(P.responseModel, cutOrNull(r.responseModel));
  to.phrase(r.stream === null ? P.unknownStream : r.stream ? P.stream : P.noStream);
  to.repeated(P.group, r.group);
  sameRequest.missed(r, query, to, from);
}

function writeJsonAttempt(to: LineBytes, upstream: MemberPhrase, attempt: AccessAttempt): void {
  to.repeated(upstream, attempt.upstream);
  to.number(P.attemptStatus, attempt.status);
  to.json(P.attemptError, attempt.error);
  to.thousandths(P.attemptMs, attempt.ms);
  to.phrase(attempt.probe ? P.probeEnd : P.attemptEnd);
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
