import type { Outcome } from "../balancer/outcome.ts";
import type { HeaderList } from "../http/exchange.ts";
import { hasTerminalEvent } from "../llm/dialect.ts";
import { isStreamMedia, mediaTypeOf } from "../llm/framing.ts";
import type { ResponseFacts } from "../llm/response-facts.ts";
import type { ResponseListener, Verdict } from "../llm/response-reader.ts";
import { type ResponseWatch, watchResponse } from "../llm/response-watch.ts";
import { Deadline, deadlineQueue } from "../shared/deadlines.ts";
import type { Attempt } from "./attempt.ts";
import { headerValue } from "./headers.ts";
import type { Observation } from "./observation.ts";
import { outcomeOfFailure, outcomeOfStatus } from "./outcome.ts";
import type { ProxyRequest } from "./request.ts";
import type { TransportFailure } from "./transport/transport.ts";
import type { StreamEnd } from "./upstream-metrics.ts";

/** The rest of a compressed answer is unpacked in milliseconds. After this long its verdict is not waited for. */
const VERDICT_MS_MAX = 5_000;

/** How the bytes of an answer ended: all are there, the client left, or the upstream failed. */
export type BytesEnd = "whole" | "client-gone" | TransportFailure;

/** What is known of an answer when its head is in. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: HeaderList;
  /** See `OpenAnswer`. */
  readonly streamed: boolean;
}

/**
 * Reads an answer beside its way to the client, and ends the attempt by what it found there: usage, the terminal
 * event, an error inside a 200. It is given only bytes that the client has already, so it can delay nothing.
 */
export class Reading implements ResponseListener {
  // What every piece of a stream touches stands first, so that it lies in as few lines of the cache as may be.
  private readonly streamed: boolean;
  private readonly watch: ResponseWatch | null;
  private firstByteMs: number | null = null;
  private contentEvents = 0;
  private lastContentMs: number | null = null;
  private readonly isPacked: boolean;
  private readonly attempt: Attempt;
  private readonly head: AnswerHead;
  private readonly observation: Observation;
  /** The type of the answer is that of a stream. */
  private readonly isStream: boolean;
  private firstPayloadMs: number | null = null;
  private endedMs = 0;
  /** Made only where the verdict is late. */
  private limit: Deadline | null = null;
  private settled = false;
  private end: BytesEnd = "whole";

  constructor(request: ProxyRequest, head: AnswerHead, attempt: Attempt) {
    this.head = head;
    this.streamed = head.streamed;
    this.attempt = attempt;
    this.observation = request.observation;
    this.observation.awaitVerdict();
    const type = headerValue(head.headers, "content-type");
    const coding = headerValue(head.headers, "content-encoding");
    this.isStream = isStreamMedia(mediaTypeOf(type));
    this.isPacked = coding !== null;
    const { dialect } = this.observation.path;
    const isSilent = (dialect === "other" || dialect === "unknown") && !this.isStream;
    const mayRead = isSuccess(head.status) && request.exchange.method !== "HEAD" && head.status !== 204;
    this.watch =
      mayRead && !isSilent
        ? watchResponse({ dialect, status: head.status, contentType: type }, coding, this)
        : null;
    this.observation.facts = this.watch?.facts ?? null;
  }

  /** False: there is nothing to be learnt from the bytes. */
  get isReading(): boolean {
    return this.watch !== null;
  }

  /** Takes bytes that were written to the client, from `from` to before `to`. */
  feed(bytes: Uint8Array, from: number, to: number): void {
    const { watch } = this;
    if (!this.streamed) {
      watch?.feed(bytes, from, to);
      return;
    }
    this.firstByteMs ??= performance.now();
    if (watch === null) return;
    watch.feed(bytes, from, to);
    const { contentEvents } = watch.facts;
    if (contentEvents !== this.contentEvents) this.onContent(contentEvents);
  }

  /** No more bytes come, and the client knows. Called once. */
  finish(end: BytesEnd): void {
    this.end = end;
    this.endedMs = performance.now();
    if (this.watch === null) {
      this.settle("unknown");
      return;
    }
    const verdict = this.watch.end(end === "whole");
    if (verdict instanceof Promise) this.awaitVerdict(verdict);
    else this.settle(verdict);
  }

  private awaitVerdict(verdict: Promise<Verdict>): void {
    this.limit = new Deadline(() => this.onLate());
    this.limit.arm(deadlineQueue(VERDICT_MS_MAX), this.endedMs);
    void verdict.then((late) => this.settle(late));
  }

  onFirstPayload(): void {
    this.firstPayloadMs = performance.now();
  }

  onFirstContent(): void {
    // What came in one piece came with its first token.
    if (this.streamed) this.observation.firstContentMs = performance.now();
  }

  /** How often a pause lies between two pieces of output is what a reader of the stream notices. */
  private onContent(contentEvents: number): void {
    const now = performance.now();
    if (this.lastContentMs !== null && !this.isPacked)
      this.attempt.metrics.tokenGap.observe((now - this.lastContentMs) / 1000);
    this.lastContentMs = now;
    this.contentEvents = contentEvents;
  }

  private onLate(): void {
    this.watch?.cancel();
    this.settle("unknown");
  }

  private settle(verdict: Verdict): void {
    if (this.settled) return;
    this.settled = true;
    this.limit?.cancel();
    const { attempt, head, observation } = this;
    const error = this.errorOf(verdict);
    attempt.end(
      this.outcomeOf(verdict, error),
      head.status,
      this.limit === null ? this.endedMs : performance.now(),
    );
    observation.completed = verdict === "complete";
    observation.error ??= error;
    if (this.watch !== null) this.count(verdict, this.watch.facts);
    observation.done();
  }

  private outcomeOf(verdict: Verdict, error: string | null): Outcome {
    if (error !== null) return { kind: "failure", error };
    if (verdict === "complete" || this.end === "whole")
      return outcomeOfStatus(this.head.status, this.responseMs());
    return this.end === "client-gone" ? outcomeOfFailure(GONE, true) : outcomeOfFailure(this.end, false);
  }

  /** What is wrong with the answer although its status says success, as far as it is the upstream's doing. */
  private errorOf(verdict: Verdict): string | null {
    if (verdict === "error") return this.isOneText ? "error_in_body" : "error_in_stream";
    return verdict === "truncated" && this.end === "whole" ? "truncated" : null;
  }

  private get isOneText(): boolean {
    const framing = this.watch?.facts.framing;
    return framing === "body" || (framing === "undecided" && !this.isStream);
  }

  /** To the first payload of a stream where it can be read, else its first byte; to the last byte otherwise. */
  private responseMs(): number {
    const isReadable = this.watch !== null && this.watch.facts.framing !== "opaque";
    const firstMs = isReadable ? this.firstPayloadMs : this.firstByteMs;
    return ((this.streamed ? firstMs : null) ?? this.endedMs) - this.attempt.beganMs;
  }

  private count(verdict: Verdict, facts: ResponseFacts): void {
    const { metrics } = this.attempt;
    if (
      this.isStream ||
      facts.framing === "events" ||
      facts.framing === "lines" ||
      facts.framing === "elements"
    )
      metrics.streamEnded(this.streamEnd(verdict));
    if (facts.parseFailures > 0) metrics.unread("syntax", facts.parseFailures);
    if (facts.oversizedEvents > 0) metrics.unread("size", facts.oversizedEvents);
    if (facts.undecodable) metrics.unread("coding", 1);
    this.countTokens(verdict, facts);
  }

  private streamEnd(verdict: Verdict): StreamEnd {
    if (verdict === "complete" || verdict === "error") return verdict;
    if (this.end === "client-gone") return "client_gone";
    return this.end === "whole" ? verdict : "truncated";
  }

  private countTokens(verdict: Verdict, facts: ResponseFacts): void {
    const { observation } = this;
    const { inputTokens, outputTokens, cachedTokens, cacheWriteTokens, reasoningTokens } = facts.usage;
    const { firstContentMs } = observation;
    const isKnown = inputTokens !== null || outputTokens !== null;
    const isMissing = !isKnown && verdict === "complete" && hasTerminalEvent(observation.path.dialect);
    if (!isKnown && !isMissing && firstContentMs === null) return;
    const model = this.attempt.metrics.model(facts.model ?? observation.requestedModel());
    if (inputTokens !== null) model.tokens("input").add(inputTokens);
    if (outputTokens !== null) model.tokens("output").add(outputTokens);
    if (cachedTokens) model.detail("cached").add(cachedTokens);
    if (cacheWriteTokens) model.detail("cache_write").add(cacheWriteTokens);
    if (reasoningTokens) model.detail("reasoning").add(reasoningTokens);
    if (isMissing) model.usageUnknown();
    if (firstContentMs === null) return;
    model.timeToFirstToken.observe((firstContentMs - this.attempt.beganMs) / 1000);
    const tokens = visibleTokens(facts) - 1;
    const lastMs = this.isPacked ? this.endedMs : (this.lastContentMs ?? this.endedMs);
    if (tokens > 0 && verdict === "complete")
      model.timePerOutputToken.observe(Math.max(0, lastMs - firstContentMs) / 1000 / tokens);
  }
}

const GONE: TransportFailure = { failed: "cancelled", reach: "body-begun" };

function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}

/** Tokens of a stream from the first one seen on. Thinking that is not sent lies before that. */
function visibleTokens({ usage, contentEvents }: ResponseFacts): number {
  const { outputTokens, reasoningTokens } = usage;
  if (outputTokens === null) return contentEvents;
  if (!reasoningTokens || contentEvents >= outputTokens) return outputTokens;
  return Math.max(contentEvents, outputTokens - reasoningTokens);
}
