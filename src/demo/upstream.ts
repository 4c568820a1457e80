import type { BodyFailure, Exchange, HeaderList, HttpServer } from "../http/exchange.ts";
import { listen } from "../http/server.ts";
import { AnswerCache } from "./answer-cache.ts";
import type { Answer } from "./answer.ts";
import { dialectOf, errorAnswer, errorBody } from "./errors.ts";
import { play, playAccept } from "./play.ts";
import { fieldOf, RequestLog } from "./request-log.ts";
import type { RecordedRequest } from "./request-log.ts";
import { answerTo, pathOf } from "./router.ts";
import { parseScript } from "./script-parse.ts";
import type { ParsedScript } from "./script-parse.ts";
import { NO_SCRIPT, SCRIPT_HEADER } from "./script.ts";
import type { Script } from "./script.ts";
import type { Pace } from "./steps.ts";

/** Settings of one scripted upstream; all but the name may be left out. Times in milliseconds. */
export interface UpstreamOptions {
  /** Shown in its answers and in the field `X-Demo-Upstream`. */
  readonly name: string;
  /** Default: the loopback address. */
  readonly address?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** Before every head (default 0), and up to this much more, at random. */
  readonly latencyMs?: number;
  readonly latencyJitterMs?: number;
  /** Between the head and the first event of a stream; default 0. */
  readonly firstTokenMs?: number;
  /** Between the tokens of a stream; default 0. */
  readonly tokenIntervalMs?: number;
  /** Share of the POST requests without a script that fail: 500, 503, or a reset. Default 0. */
  readonly failureRate?: number;
  /** Gives numbers from 0 to below 1; default `Math.random`. */
  readonly random?: () => number;
  /** How many requests, and how many bytes of their bodies, are recorded; default 1000 and 64 MiB. */
  readonly recordedMax?: number;
  readonly recordedBytesMax?: number;
  /** How long a kept connection may wait between two requests; default one minute. */
  readonly idleTimeoutMs?: number;
}

/**
 * A script for requests that bring none in their header: itself, in its text form, or a function of the
 * request (called once the body is there, so the point `accept` and `early` cannot come from one).
 */
export type ScriptSource = Script | string | ((request: RecordedRequest) => Script | string | null) | null;

export interface UpstreamCounts {
  accepted: number;
  /** Answered as far as their scripts go, scripted breaks included. */
  finished: number;
  /** The peer went away before that. */
  aborted: number;
  inFlight: number;
}

/** A scripted upstream that is listening. */
export interface DemoUpstream {
  readonly name: string;
  readonly port: number;
  /** Base URL without a path: `http://127.0.0.1:40001`. */
  readonly url: string;
  /** Default for requests without a script of their own; may be set at any time. */
  script: ScriptSource;
  /** The last requests, oldest first. */
  readonly requests: readonly RecordedRequest[];
  readonly counts: Readonly<UpstreamCounts>;
  /** Forgets the recorded requests. Counts go on. */
  clearRequests(): void;
  /** Closes every connection at once and stops listening. */
  stop(): void;
}

const BODY_BYTES_MAX = 256 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 60_000;
const RECORDED_BYTES_MAX = 64 * 1024 * 1024;
const EMPTY_OBJECT = Buffer.from("{}", "latin1");
const FAILURES: readonly Script[] = [
  { status: 500 },
  { status: 503 },
  { break: { action: "reset", at: "before-head" } },
];
const BODY_FAILURES = {
  "too-large": [413, "The body is too large."],
  "no-room": [503, "There is no memory left for the body."],
  stalled: [408, "The body stopped coming."],
  malformed: [400, "The body is malformed."],
} as const;

/** Starts a scripted upstream. Throws as `listen` does when the address cannot be bound. */
export function startUpstream(options: UpstreamOptions): DemoUpstream {
  return new Upstream(options);
}

class Upstream implements DemoUpstream {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  readonly counts: UpstreamCounts = { accepted: 0, finished: 0, aborted: 0, inFlight: 0 };
  script: ScriptSource = null;
  private readonly options: UpstreamOptions;
  private readonly random: () => number;
  private readonly startedS = Math.floor(Date.now() / 1000);
  private readonly log: RequestLog;
  private readonly cache = new AnswerCache();
  private readonly server: HttpServer;

  constructor(options: UpstreamOptions) {
    this.options = options;
    this.name = options.name;
    this.random = options.random ?? Math.random;
    this.log = new RequestLog(options.recordedMax ?? 1000, options.recordedBytesMax ?? RECORDED_BYTES_MAX);
    const address = options.address ?? "127.0.0.1";
    this.server = listen({
      address,
      port: options.port ?? 0,
      headTimeoutMs: REQUEST_TIMEOUT_MS,
      stallTimeoutMs: REQUEST_TIMEOUT_MS,
      writeTimeoutMs: REQUEST_TIMEOUT_MS,
      idleTimeoutMs: options.idleTimeoutMs ?? REQUEST_TIMEOUT_MS,
      onRequest: (exchange) => this.onRequest(exchange),
      onRefusal: (exchange, status, message) =>
        exchange.respond(
          status,
          ["Content-Type", "application/json"],
          Buffer.from(JSON.stringify(errorBody("openai", status, null, message))),
        ),
    });
    this.port = this.server.port;
    this.url = `http://${address.includes(":") ? `[${address}]` : address}:${this.port}`;
  }

  get requests(): readonly RecordedRequest[] {
    return this.log.list();
  }

  clearRequests(): void {
    this.log.clear();
  }

  stop(): void {
    this.server.close();
  }

  private onRequest(exchange: Exchange): void {
    const request = this.record(exchange);
    const parsed = this.scriptOfHead(exchange);
    if (parsed !== null && !parsed.ok) {
      const message = `${SCRIPT_HEADER}: ${parsed.problem}`;
      this.respond(exchange, errorAnswer(dialectOf(pathOf(exchange.target)), 400, null, message), NO_SCRIPT);
      return;
    }
    const script = parsed?.script ?? null;
    if (script?.break?.at === "accept") {
      playAccept(exchange, script);
      return;
    }
    if (script?.early === true) {
      this.onBody(exchange, request, EMPTY_OBJECT, script);
      return;
    }
    const body = exchange.readBody(BODY_BYTES_MAX);
    if (body instanceof Promise) void body.then((whole) => this.onBody(exchange, request, whole, script));
    else this.onBody(exchange, request, body, script);
  }

  private record(exchange: Exchange): RecordedRequest {
    const { method, target, headers } = exchange;
    const request: RecordedRequest = { method, target, headers, body: EMPTY, outcome: "in-flight" };
    this.log.add(request);
    this.counts.accepted++;
    this.counts.inFlight++;
    exchange.onFinished = () => {
      this.counts.inFlight--;
      if (exchange.aborted) this.counts.aborted++;
      else this.counts.finished++;
      request.outcome = exchange.aborted ? "aborted" : "finished";
    };
    return request;
  }

  /** The script that is known before the body; null where there is none yet. */
  private scriptOfHead(exchange: Exchange): ParsedScript | null {
    const text = fieldOf(exchange.headers, SCRIPT_HEADER);
    if (text !== null) {
      const parsed = parseScript(text);
      return !parsed.ok || this.applies(parsed.script) ? parsed : null;
    }
    if (this.script === null || typeof this.script === "function") return null;
    const script = resolveScript(this.script);
    return this.applies(script) ? { ok: true, script } : null;
  }

  /** Whether it is meant for this upstream, and chance does not decide against it. */
  private applies(script: Script): boolean {
    if (script.upstream !== undefined && script.upstream !== this.name) return false;
    return script.chance === undefined || this.random() < script.chance;
  }

  private scriptOfBody(request: RecordedRequest): Script {
    if (typeof this.script === "function") {
      const source = this.script(request);
      const script = source === null ? NO_SCRIPT : resolveScript(source);
      if (source !== null && this.applies(script)) return script;
    }
    const { failureRate = 0 } = this.options;
    if (failureRate === 0 || request.method !== "POST" || this.random() >= failureRate) return NO_SCRIPT;
    return FAILURES[Math.floor(this.random() * FAILURES.length)] as Script;
  }

  private onBody(
    exchange: Exchange,
    request: RecordedRequest,
    body: Uint8Array | BodyFailure,
    headScript: Script | null,
  ): void {
    if (body === "closed") return;
    if (typeof body === "string") {
      const [status, message] = BODY_FAILURES[body];
      this.respond(exchange, errorAnswer("openai", status, null, message), NO_SCRIPT);
      return;
    }
    if (headScript?.early !== true) this.log.keepBody(request, body);
    const script = headScript ?? this.scriptOfBody(request);
    this.respond(exchange, this.answer(request, body, script), script);
  }

  private answer(request: RecordedRequest, body: Uint8Array, script: Script): Answer {
    const { method, target, headers } = request;
    const encoding = fieldOf(headers, "content-encoding");
    const seed = Bun.hash.xxHash64(body);
    const make = (): Answer => {
      const context = { name: this.name, startedS: this.startedS, seed, script };
      return answerTo({ method, target, body, encoding }, context);
    };
    if (script !== NO_SCRIPT || encoding !== null) return make();
    return this.cache.answer(method, target, body, seed, make);
  }

  private respond(exchange: Exchange, answer: Answer, script: Script): void {
    const { latencyMs = 0, latencyJitterMs = 0, firstTokenMs = 0, tokenIntervalMs = 0 } = this.options;
    const jitterMs = latencyJitterMs === 0 ? 0 : this.random() * latencyJitterMs;
    const pace: Pace = {
      delayMs: script.delayMs ?? latencyMs + jitterMs,
      firstTokenMs: script.firstTokenMs ?? firstTokenMs,
      tokenIntervalMs: script.tokenIntervalMs ?? tokenIntervalMs,
    };
    const status = answer.status === 200 ? (script.status ?? 200) : answer.status;
    const whole = status === answer.status ? answer : { ...answer, status };
    play(exchange, whole, this.headersOf(exchange, answer, script), script, pace);
  }

  private headersOf(exchange: Exchange, answer: Answer, script: Script): HeaderList {
    const idField = dialectOf(pathOf(exchange.target)) === "anthropic" ? "Request-Id" : "X-Request-Id";
    const id = `req_${this.name}_${this.counts.accepted}`;
    const own = [...answer.headers, idField, id, "X-Demo-Upstream", this.name];
    return script === NO_SCRIPT ? own : scriptedHeaders(own, script);
  }
}

const EMPTY = new Uint8Array(0);

/** A script that a test set; one that does not parse is a mistake in the test. */
function resolveScript(source: Script | string): Script {
  if (typeof source !== "string") return source;
  const parsed = parseScript(source);
  if (!parsed.ok) throw new Error(`script of the upstream: ${parsed.problem}`);
  return parsed.script;
}

function scriptedHeaders(own: HeaderList, script: Script): HeaderList {
  if (script.bodyBytes !== undefined) own[own.indexOf("Content-Type") + 1] = "application/octet-stream";
  if (script.encoding !== undefined) own.push("Content-Encoding", script.encoding);
  if (script.retryAfter !== undefined) own.push("Retry-After", script.retryAfter);
  const extra = script.headers ?? [];
  if (extra.length === 0) return own;
  const names = new Set(extra.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()));
  const kept: HeaderList = [];
  for (let at = 0; at < own.length; at += 2) {
    if (!names.has((own[at] as string).toLowerCase())) kept.push(own[at] as string, own[at + 1] as string);
  }
  return [...kept, ...extra];
}
