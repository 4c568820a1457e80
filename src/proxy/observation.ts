import type { Lease } from "../balancer/lease.ts";
import type { Exchange } from "../http/exchange.ts";
import { addressText } from "../limits/address-text.ts";
import { type ApiPath, describePath, modelInPath } from "../llm/dialect.ts";
import { peekRequest, type RequestPeek, wantsStream } from "../llm/request.ts";
import type { ResponseFacts } from "../llm/response-facts.ts";
import type { AccessOutcome } from "../observe/access-log.ts";
import type { LogEntry } from "../observe/line-batcher.ts";
import type { LineBytes } from "../observe/line-bytes.ts";
import { Attempt } from "./attempt.ts";
import type { ForwardMetrics, RequestSeries } from "./metrics.ts";
import type { Route } from "./route.ts";

const NONE: readonly string[] = [];
const NO_BYTES = new Uint8Array(0);
/** To look into a larger body may take many microseconds, for which no request shall wait. */
const PEEKED_AT_ONCE_BYTES_MAX = 16 * 1024;

/**
 * Follows one request from its head to the end of everything that is known of it, and tells metrics and access log,
 * once. The end is there when the handler has returned, the client has its answer or is gone, and the answer, if it
 * was relayed, has been judged.
 */
export class Observation implements LogEntry {
  readonly path: ApiPath;
  /** What went wrong for the client: a code of ours, or what is wrong with the answer it got. */
  error: string | null = null;
  /** What the answer says, where it is read. */
  facts: ResponseFacts | null = null;
  /** `performance.now()` at the first output of the model. */
  firstContentMs: number | null = null;
  /** The client had all of worth when it left. */
  completed = false;
  private readonly exchange: Exchange;
  private readonly route: Route;
  private readonly requestId: string;
  private readonly client: string;
  private readonly metrics: ForwardMetrics;
  private readonly series: RequestSeries;
  private readonly startedMs = performance.now();
  private body: Uint8Array = NO_BYTES;
  private bytesIn = 0;
  /** What it says, once that was asked for. */
  private peeked: RequestPeek | null = null;
  /** Status sent to the client. */
  private status: number | null = null;
  private readonly attempts: Attempt[] = [];
  private rejected: string[] | null = null;
  private busyMs = 0;
  /** Since when the proxy itself is at work; null while it waits. */
  private busySinceMs: number | null = this.startedMs;
  private clientDoneMs: number | null = null;
  private outcome: AccessOutcome = "ok";
  /** When all was over, in milliseconds since 1970. */
  private endedMs = 0;
  private bytesOut = 0;
  /** Ends that are still to come: that of the handler, and that of the client's part. */
  private awaited = 2;

  /** Begins with the head of the request, which is counted. */
  constructor(exchange: Exchange, requestId: string, route: Route) {
    this.exchange = exchange;
    this.route = route;
    this.requestId = requestId;
    this.client = route.accessLog === null ? "" : clientText(exchange, route);
    this.path = describePath(exchange.target);
    this.metrics = route.metrics.forward(route.forward.id);
    this.series = this.metrics.request(exchange.method, this.path);
    this.series.requests.add(1);
    this.metrics.inFlight.increase();
    this.metrics.unfinished++;
  }

  /** The request was let in, with this body. */
  admitted(body: Uint8Array): void {
    this.body = body;
    this.bytesIn = body.length;
    this.metrics.requestBytes.add(body.length);
    // Of a small one now, as later it would have to be fetched into the processor's caches again.
    if (this.route.accessLog !== null && body.length <= PEEKED_AT_ONCE_BYTES_MAX) this.peek();
  }

  /** The proxy answers with an error of its own. */
  refused(code: string, status: number): void {
    this.error = code;
    this.status = status;
  }

  /** The client gets an upstream's answer with this status. */
  answered(status: number): void {
    this.status = status;
    if (status >= 400) this.error = "upstream_status";
  }

  /** From here on the proxy waits for somebody else. */
  pause(): void {
    if (this.busySinceMs === null) return;
    this.busyMs += performance.now() - this.busySinceMs;
    this.busySinceMs = null;
  }

  /** `performance.now()` since when the proxy itself is at work: a moment ago, where it has not yet done much. */
  get workingSinceMs(): number {
    return this.busySinceMs ?? performance.now();
  }

  /** From here on the proxy itself is at work. */
  resume(): void {
    if (this.clientDoneMs === null) this.busySinceMs ??= performance.now();
  }

  /** An attempt begins on a leased upstream. `beganMs`: `performance.now()`. */
  attempt(lease: Lease, beganMs: number): Attempt {
    const { group, upstreams, metrics, events } = this.route;
    const pair = metrics.group(group.id).pair(lease.upstream);
    const attempt = new Attempt(lease, upstreams[lease.upstream]!.name, pair, events, beganMs);
    this.attempts.push(attempt);
    return attempt;
  }

  /** Takes down which upstreams the balancer has just passed by. */
  noteRejected(): void {
    const rejected = this.route.events.takeRejected();
    if (rejected !== null) this.rejected = this.rejected === null ? rejected : this.rejected.concat(rejected);
  }

  /** The answer is read: its verdict, to be followed by `done`, is awaited too. */
  awaitVerdict(): void {
    this.awaited++;
  }

  /** The client has its answer, or it is gone. */
  clientDone(): void {
    if (this.clientDoneMs !== null) return;
    const now = performance.now();
    if (this.busySinceMs !== null) this.busyMs += now - this.busySinceMs;
    this.busySinceMs = null;
    this.clientDoneMs = now;
    this.metrics.inFlight.decrease();
    this.done();
  }

  /** One of the awaited ends is there. */
  done(): void {
    if (--this.awaited === 0) this.finish();
  }

  /** The model that was asked for; null when the request does not say. */
  requestedModel(): string | null {
    return modelInPath(this.exchange.target) ?? this.peek().model;
  }

  private finish(): void {
    const { exchange, metrics } = this;
    metrics.unfinished--;
    const durationMs = this.clientDoneMs! - this.startedMs;
    this.series.duration.observe(durationMs / 1000);
    metrics.overhead.observe(this.busyMs / 1000);
    this.bytesOut = exchange.bytesOut;
    metrics.responseBytes.add(this.bytesOut);
    const gone = exchange.aborted && !this.completed;
    if (gone) metrics.disconnected(this.bytesOut > 0 ? "answering" : "waiting");
    else if (this.error !== null) metrics.failed(this.error, this.status ?? 0);
    const { accessLog } = this.route;
    if (accessLog === null) return;
    this.outcome = gone ? "client_gone" : this.error === null ? "ok" : "error";
    this.endedMs = Date.now();
    this.peek();
    this.letGo();
    accessLog.add(this);
  }

  /** Tells the access log, a little after the end. */
  writeTo(lines: LineBytes): void {
    const { exchange, route, facts } = this;
    const peek = this.peek();
    route.accessLog!.write(lines, {
      endedMs: this.endedMs,
      requestId: this.requestId,
      forward: route.forward.name,
      client: this.client,
      method: exchange.method,
      target: exchange.target,
      model: modelInPath(exchange.target) ?? peek.model,
      responseModel: facts?.model ?? null,
      stream: wantsStream(this.path, peek),
      group: route.group.name,
      attempts: this.attempts,
      rejected: this.rejected ?? NONE,
      status: this.status,
      outcome: this.outcome,
      error: this.error,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      ttftMs: this.firstContentMs === null ? null : this.firstContentMs - this.startedMs,
      durationMs: this.clientDoneMs! - this.startedMs,
      usage: facts?.usage ?? null,
    });
  }

  /** What the body says. */
  private peek(): RequestPeek {
    this.peeked ??= peekRequest(this.body);
    return this.peeked;
  }

  /** Lets the body go before the line is written: the callbacks of the exchange hold it, too. */
  private letGo(): void {
    const { exchange } = this;
    this.body = NO_BYTES;
    exchange.onAbort = null;
    exchange.onDrain = null;
    exchange.onFinished = null;
  }
}

/** The peer, or who it says the client is where it is trusted. */
function clientText(exchange: Exchange, { forward, limits }: Route): string {
  const client = forward.trustedProxies.length === 0 ? null : limits.clientOf(exchange);
  return client === null ? exchange.remoteAddress : addressText(client);
}
