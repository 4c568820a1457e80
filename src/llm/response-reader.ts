import { cut } from "../http/cut.ts";
import { AnthropicReader } from "./anthropic.ts";
import { BodyKeeper } from "./body-keeper.ts";
import type { DialectReader } from "./dialect-reader.ts";
import { type Dialect, hasTerminalEvent } from "./dialect.ts";
import { ElementReader } from "./elements.ts";
import type { EventSink } from "./event-sink.ts";
import { firstByteAt, framingOf, isReadable, isStreamMedia, mediaTypeOf } from "./framing.ts";
import { GeminiReader } from "./gemini.ts";
import { asObject, isClosed, parseJson } from "./json.ts";
import { LineReader } from "./lines.ts";
import { OllamaReader } from "./ollama.ts";
import { OpenAiChatReader } from "./openai-chat.ts";
import { OpenAiEventsReader, StoredResponseReader } from "./openai-events.ts";
import { PlainReader } from "./plain-reader.ts";
import { errorOf } from "./response-error.ts";
import { type Framing, ResponseFacts } from "./response-facts.ts";
import { SseReader } from "./sse.ts";
import { TopLevel } from "./top-level.ts";

/**
 * How a response ended, as far as its bytes tell.
 * - `complete`: a stream with its terminal event, or a JSON text that is whole.
 * - `truncated`: a stream of a known dialect without its terminal event, or a JSON text cut short.
 * - `error`: an error inside a response whose status says success.
 * - `unknown`: nothing to go by: another status, an unknown path, an unreadable body.
 */
export type Verdict = "complete" | "truncated" | "error" | "unknown";

/** Called at most once each, from within `feed` or `end`, or later for a compressed response. */
export interface ResponseListener {
  /** The first event with data came: no comment, no ping. */
  readonly onFirstPayload?: () => void;
  /** The first output of the model came. */
  readonly onFirstContent?: () => void;
  /** The terminal event came: nothing of worth follows. */
  readonly onTerminal?: () => void;
}

/** What is known of a response before its first byte. Header values are as received, null when absent. */
export interface ResponseHead {
  readonly dialect: Dialect;
  readonly status: number;
  readonly contentType: string | null;
}

/** Longer events are not parsed, which would hold up everything else on the thread. */
const EVENT_BYTES_MAX = 128 * 1024;
const MODEL_NAMES = ["model", "modelVersion"].map((name) => new TextEncoder().encode(name));
const models = new TopLevel(MODEL_NAMES);
const MODEL_STEPS_MAX = 4096;

/**
 * Reads a response beside its way to the client: `feed` takes each chunk, `end` gives the verdict, `facts` holds what
 * is known meanwhile. Changes and delays nothing and never throws, whatever the bytes.
 *
 * Memory is bounded by some 256 KB: an event or line over 128 KB is not kept, only its last 16 KB searched for usage;
 * of a larger JSON text only head and tail are kept.
 */
export class ResponseReader implements EventSink {
  // What every piece of a stream touches stands first, so that it lies in as few lines of the cache as may be.
  readonly facts = new ResponseFacts();
  private readonly reader: DialectReader;
  /** Cuts a stream into events. This or `body` is made with the first byte, which tells the framing. */
  private source: SseReader | LineReader | ElementReader | null = null;
  /** How many of the listener's three calls were made, or are not due. */
  private told = 0;
  private verdict: Verdict | null = null;
  private readonly head: ResponseHead;
  private readonly listener: ResponseListener | null;
  private readonly mediaType: string;
  private body: BodyKeeper | null = null;

  /** Takes what the head of the response tells, and who wants to know of the first events. */
  constructor(head: ResponseHead, listener: ResponseListener | null = null) {
    this.head = head;
    this.listener = listener;
    this.mediaType = mediaTypeOf(head.contentType);
    this.reader = readerOf(head.dialect, this.facts);
    // Of another status only the error is of interest, of a path that reports nothing only events.
    const isSilent = this.reader instanceof PlainReader && this.isSuccess && !this.isStream;
    if (isSilent || !isReadable(this.mediaType)) this.facts.framing = "opaque";
  }

  /** Whether the response says that it is a stream of events or lines. */
  get isStream(): boolean {
    return isStreamMedia(this.mediaType);
  }

  /**
   * Reads the next bytes of the body. Those of a JSON text that is not streamed may be kept until `end`, and must stay
   * as they are so long.
   */
  feed(chunk: Uint8Array, from = 0, to = chunk.length): void {
    const facts = this.facts;
    if (facts.framing === "opaque" || this.verdict !== null) return;
    if (facts.framing === "undecided") {
      from = firstByteAt(chunk, from, to);
      if (from === to) return;
      this.decide(chunk[from]!);
    }
    if (this.source !== null) this.source.feed(chunk, from, to);
    else this.body?.add(cut(chunk, from, to));
    if (this.told < 3) this.tell();
  }

  /**
   * The body is over; `clean`: as HTTP has it, with its last chunk or all its bytes, and not by a lost connection.
   * Gives the verdict, the same one when called again.
   */
  end(clean: boolean): Verdict {
    if (this.verdict === null) {
      this.source?.end();
      if (this.told < 3) this.tell();
      const isWhole = this.body !== null && this.readBody(this.body, clean);
      this.verdict = this.judge(clean, isWhole);
      this.cancel();
    }
    return this.verdict;
  }

  /** Frees what is held. */
  cancel(): void {
    this.source = null;
    this.body = null;
  }

  /** The rest cannot be read: its coding is unknown or broken. What was seen so far still counts. */
  giveUp(): void {
    this.facts.undecodable = true;
    this.facts.framing = "opaque";
    this.cancel();
  }

  private get isSuccess(): boolean {
    return this.head.status >= 200 && this.head.status <= 299;
  }

  private decide(firstByte: number): void {
    const { facts } = this;
    facts.framing = framingOf(this.mediaType, this.head.dialect, firstByte);
    if (!this.isSuccess && facts.framing !== "body") facts.framing = "opaque";
    if (facts.framing === "body") this.body = new BodyKeeper();
    else if (facts.framing !== "opaque") this.source = this.sourceOf(facts.framing);
  }

  /** What `source` has found. */
  onEvent(name: string, bytes: Uint8Array, start: number, end: number, oversized: boolean): void {
    if (oversized) this.skim(name, bytes, start, end);
    else this.reader.onEvent(name, bytes, start, end);
  }

  private sourceOf(framing: Framing): SseReader | LineReader | ElementReader {
    if (framing === "events") return new SseReader(this, EVENT_BYTES_MAX);
    return framing === "lines"
      ? new LineReader(this, EVENT_BYTES_MAX)
      : new ElementReader(this, EVENT_BYTES_MAX);
  }

  /** Reads the end of an event that is too long to parse: a generated image, or a long answer repeated whole. */
  private skim(name: string, bytes: Uint8Array, start: number, end: number): void {
    const facts = this.facts;
    facts.oversizedEvents++;
    facts.payloadEvents++;
    this.reader.onTail(name, bytes, start, end);
    if (!facts.terminal) facts.contentEvents++;
  }

  private tell(): void {
    const { facts, listener } = this;
    // Each is called before the next: a stream that ends without any content skips what it lacks.
    if (this.told === 0 && (facts.payloadEvents > 0 || facts.terminal)) {
      this.told = 1;
      if (facts.payloadEvents > 0) listener?.onFirstPayload?.();
    }
    if (this.told === 1 && (facts.contentEvents > 0 || facts.terminal)) {
      this.told = 2;
      if (facts.contentEvents > 0) listener?.onFirstContent?.();
    }
    if (this.told === 2 && facts.terminal) {
      this.told = 3;
      listener?.onTerminal?.();
    }
  }

  /** Reads a JSON text, as far as it was kept. Gives whether it is all there. */
  private readBody(body: BodyKeeper, clean: boolean): boolean {
    const whole = body.whole();
    if (whole === null) return this.readEnds(body);
    // One that broke off is parsed: where it broke may look like its end.
    if (clean && this.isSuccess && this.readMembers(whole)) return true;
    const value = parseJson(whole, 0, whole.length);
    const object = asObject(value);
    if (object === null) {
      if (value === undefined) this.facts.parseFailures++;
    } else if (this.isSuccess) {
      this.reader.onBody(object);
    } else {
      this.facts.error = errorOf(object);
    }
    return value !== undefined;
  }

  private readEnds(body: BodyKeeper): boolean {
    if (!this.isSuccess) return true;
    const { head, tail } = body.ends();
    this.reader.onTail("", tail, 0, tail.length);
    this.findModel(head);
    return isClosed(tail, 0, tail.length);
  }

  /**
   * Reads a body by the members that matter, as what the model said is not needed: parsing makes texts of it that the
   * allocator has to find room for, and takes a quarter of a millisecond for the numbers of an embedding. False when that
   * told no usage.
   */
  private readMembers(whole: Uint8Array): boolean {
    if (!isClosed(whole, 0, whole.length)) return false;
    this.reader.onBody(this.reader.members.near(whole));
    return this.facts.usage.inputTokens !== null;
  }

  private findModel(bytes: Uint8Array): void {
    models.find(bytes, MODEL_STEPS_MAX);
    for (let i = 0; i < MODEL_NAMES.length; i++) {
      if (models.start(i) >= 0) this.facts.nameModel(parseJson(bytes, models.start(i), models.end(i)));
    }
  }

  private judge(clean: boolean, isWhole: boolean): Verdict {
    const { framing, error, terminal } = this.facts;
    if (!this.isSuccess) return "unknown";
    // First: servers send the end marker after an error too.
    if (error !== null) return "error";
    if (terminal || isWhole) return "complete";
    if (framing === "body") return clean ? "unknown" : "truncated";
    // A stream without a single byte is one that failed, too.
    const isStream = framing === "undecided" ? this.isStream : framing !== "opaque";
    if (!isStream || !hasTerminalEvent(this.head.dialect)) return "unknown";
    return clean && this.reader.isFinished() ? "complete" : "truncated";
  }
}

function readerOf(dialect: Dialect, facts: ResponseFacts): DialectReader {
  switch (dialect) {
    case "openai-chat":
    case "openai-completions":
    case "openai-embeddings":
      return new OpenAiChatReader(facts);
    case "openai-responses":
    case "openai-media":
      return new OpenAiEventsReader(facts);
    case "openai-stored":
      return new StoredResponseReader(facts);
    case "anthropic-messages":
      return new AnthropicReader(facts);
    case "gemini-generate":
      return new GeminiReader(facts);
    case "ollama-generate":
    case "ollama-embed":
      return new OllamaReader(facts);
    case "other":
    case "unknown":
      return new PlainReader(facts);
  }
}
