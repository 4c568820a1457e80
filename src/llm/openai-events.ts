import { DialectReader, isDoneMarker, isKeepAlive } from "./dialect-reader.ts";
import { EventTypes } from "./event-type.ts";
import { asObject, isClosed, type JsonObject, lastObjectOf } from "./json.ts";
import { Members } from "./members.ts";
import { describeError } from "./response-error.ts";
import { OPENAI_COUNTS, takeOpenAiUsage } from "./usage.ts";

/** The events that end a stream; after them nothing comes, or a stray `[DONE]`. */
const TERMINAL: ReadonlySet<string> = new Set([
  "response.completed",
  "response.incomplete",
  "response.failed",
  "response.cancelled",
  "image_generation.completed",
  "image_edit.completed",
  "transcript.text.done",
  "speech.audio.done",
  "error",
]);

/** Preludes that name the model. They repeat the request, so long ones are not worth parsing. */
const PRELUDES: ReadonlySet<string> = new Set(["response.created", "response.queued"]);
const PRELUDE_BYTES_MAX = 16 * 1024;

const MEMBERS = new Members(["model", "usage"], { others: ["status", "error"], counts: OPENAI_COUNTS });
const STORED_MEMBERS = new Members(["model"]);

/**
 * OpenAI's typed events: responses, images, transcriptions and speech. The event's name is in its data too. Usage
 * comes once, in the terminal event.
 */
export class OpenAiEventsReader extends DialectReader {
  override readonly members = MEMBERS;
  private readonly types = new EventTypes();

  override onEvent(name: string, bytes: Uint8Array, start: number, end: number): void {
    if (start === end || isDoneMarker(bytes, start, end)) return;
    const type = this.types.typeOf(name, bytes, start, end);
    if (isKeepAlive(type)) return;
    this.facts.payloadEvents++;
    if (type.endsWith(".delta") || type.endsWith(".partial_image")) {
      this.facts.contentEvents++;
    } else if (TERMINAL.has(type)) {
      this.takeTerminal(type, this.parse(bytes, start, end));
    } else if (type === "") {
      // An error that a server on the way wrapped in no type.
      const event = this.parse(bytes, start, end);
      if (event !== null) this.takeError(event);
    } else if (this.facts.model === null && PRELUDES.has(type) && end - start <= PRELUDE_BYTES_MAX) {
      this.facts.nameModel(asObject(this.parse(bytes, start, end)?.["response"])?.["model"]);
    }
  }

  override onTail(name: string, bytes: Uint8Array, start: number, end: number): void {
    if (TERMINAL.has(name) && isClosed(bytes, start, end)) this.takeTerminal(name, {});
    takeOpenAiUsage(this.facts.usage, lastObjectOf(bytes, start, end, "usage"));
  }

  override onBody(body: JsonObject): void {
    this.takeError(body);
    if (body["status"] === "failed") this.facts.error ??= describeError(body["error"]);
    takeOpenAiUsage(this.facts.usage, body["usage"]);
    this.facts.nameModel(body["model"]);
  }

  /** Null when the data is no JSON: the connection broke within it. An error counts with its name alone. */
  private takeTerminal(type: string, event: JsonObject | null): void {
    this.facts.terminal ||= event !== null;
    if (type === "error") return this.takeErrorEvent(event);
    const subject = asObject(event?.["response"]) ?? event;
    if (type === "response.failed") this.facts.error ??= describeError(subject?.["error"]);
    if (subject === null) return;
    takeOpenAiUsage(this.facts.usage, subject["usage"]);
    this.facts.nameModel(subject["model"]);
  }
}

/**
 * A response that was made before and is fetched again. Its stream ends as it did then; its usage was counted then, and
 * its failure is not the failure of this request.
 */
export class StoredResponseReader extends DialectReader {
  override readonly members = STORED_MEMBERS;
  private readonly types = new EventTypes();

  override onEvent(name: string, bytes: Uint8Array, start: number, end: number): void {
    if (start === end || isDoneMarker(bytes, start, end)) return;
    const type = this.types.typeOf(name, bytes, start, end);
    if (isKeepAlive(type)) return;
    this.facts.payloadEvents++;
    if (type.endsWith(".delta")) this.facts.contentEvents++;
    if (!TERMINAL.has(type)) return;
    const event = this.parse(bytes, start, end);
    this.facts.terminal ||= event !== null;
    if (type === "error") this.takeErrorEvent(event);
  }

  override onTail(name: string, bytes: Uint8Array, start: number, end: number): void {
    this.facts.terminal ||= TERMINAL.has(name) && isClosed(bytes, start, end);
  }

  override onBody(body: JsonObject): void {
    this.facts.nameModel(body["model"]);
  }
}
