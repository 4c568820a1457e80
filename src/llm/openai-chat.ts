import { DialectReader, isDoneMarker, isKeepAlive, LEARNING_EVENTS_MAX } from "./dialect-reader.ts";
import { asArray, asCount, asObject, type JsonObject, lastObjectOf } from "./json.ts";
import { KeyScanner } from "./key-scanner.ts";
import { Members } from "./members.ts";
import { OPENAI_COUNTS, takeOpenAiUsage } from "./usage.ts";

/** Choices beyond the thirtieth share one bit of the sets below. */
const CHOICE_INDEX_MAX = 30;

/**
 * `index` is here for streams of several choices: events of choice 0 say nothing of note by it, those of the others
 * are parsed, so that all choices are known.
 */
const TELLING = new KeyScanner(["usage", "error", "finish_reason", "index"]);

const MEMBERS = new Members(["model", "usage"], { others: ["error"], counts: OPENAI_COUNTS });

/**
 * Chat completions, legacy completions and embeddings. A stream ends with `[DONE]`.
 *
 * Some compatible servers leave `[DONE]` out. A stream that ended properly counts as finished when every choice that
 * was seen has its `finish_reason`: the model has said all it had to say, and only usage and the marker can be
 * missing. Without a proper end, or with a choice still open, it is truncated.
 */
export class OpenAiChatReader extends DialectReader {
  override readonly members = MEMBERS;
  // Sets of choices: bit n stands for choice n.
  private choicesSeen = 0;
  private choicesFinished = 0;
  /** A `usage` object was seen. */
  private usageSaid = false;

  override onEvent(name: string, bytes: Uint8Array, start: number, end: number): void {
    const facts = this.facts;
    if (isDoneMarker(bytes, start, end)) {
      facts.terminal = true;
      return;
    }
    if (start === end || isKeepAlive(name)) return;
    facts.payloadEvents++;
    if (name === "error") return this.takeErrorEvent(this.parse(bytes, start, end));
    const isLearning = facts.contentEvents === 0 && facts.payloadEvents <= LEARNING_EVENTS_MAX;
    if (!isLearning && !TELLING.test(bytes, start, end)) {
      this.choicesSeen |= 1;
      facts.contentEvents++;
      return;
    }
    const chunk = this.parse(bytes, start, end);
    if (chunk !== null) this.takeChunk(chunk);
  }

  override onTail(_name: string, bytes: Uint8Array, start: number, end: number): void {
    takeOpenAiUsage(this.facts.usage, lastObjectOf(bytes, start, end, "usage"));
  }

  override onBody(body: JsonObject): void {
    this.takeError(body);
    this.takeUsage(body, asArray(body["choices"]));
    this.facts.nameModel(body["model"]);
  }

  override isFinished(): boolean {
    return this.facts.terminal || (this.choicesSeen !== 0 && this.choicesSeen === this.choicesFinished);
  }

  private takeChunk(chunk: JsonObject): void {
    this.takeError(chunk);
    this.facts.nameModel(chunk["model"]);
    const choices = asArray(chunk["choices"]);
    this.takeUsage(chunk, choices);
    let hasOutput = false;
    for (const value of choices) {
      const choice = asObject(value);
      if (choice === null) continue;
      const bit = 1 << Math.min(asCount(choice["index"]) ?? 0, CHOICE_INDEX_MAX);
      this.choicesSeen |= bit;
      const reason = choice["finish_reason"];
      if (reason) this.choicesFinished |= bit;
      if (reason === "error") this.facts.error ??= { type: "error", code: "finish_reason" };
      hasOutput ||= isOutput(choice["text"]) || deltaHasOutput(asObject(choice["delta"]));
    }
    if (hasOutput) this.facts.contentEvents++;
  }

  /**
   * Usage stands at the top of a chunk; Groq has put it under `x_groq`, Moonshot into the choice. llama.cpp's timings
   * stand in where the client did not ask for usage: they come with the last chunk always, and tell the whole prompt
   * only together with the part that came from its cache.
   */
  private takeUsage(chunk: JsonObject, choices: readonly unknown[]): void {
    const usage = this.facts.usage;
    if (
      takeOpenAiUsage(usage, chunk["usage"]) ||
      takeOpenAiUsage(usage, asObject(chunk["x_groq"])?.["usage"]) ||
      takeOpenAiUsage(usage, asObject(choices[0])?.["usage"])
    ) {
      this.usageSaid = true;
      return;
    }
    const timings = asObject(chunk["timings"]);
    if (timings === null || this.usageSaid) return;
    const fresh = asCount(timings["prompt_n"]);
    const cached = asCount(timings["cache_n"]);
    if (fresh !== null && cached !== null) {
      usage.inputTokens = fresh + cached;
      usage.cachedTokens = cached;
    }
    usage.outputTokens = asCount(timings["predicted_n"]) ?? usage.outputTokens;
  }
}

/** A delta may name the role and hold empty fields before anything is said. */
function deltaHasOutput(delta: JsonObject | null): boolean {
  if (delta === null) return false;
  for (const key in delta) if (key !== "role" && isOutput(delta[key])) return true;
  return false;
}

function isOutput(value: unknown): boolean {
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  return typeof value === "object" && value !== null;
}
