import { DialectReader, isKeepAlive } from "./dialect-reader.ts";
import { EventTypes } from "./event-type.ts";
import { asCount, asObject, type JsonObject, lastObjectOf } from "./json.ts";
import { Members } from "./members.ts";

const MEMBERS = new Members(["model", "usage"], {
  others: ["error"],
  counts: [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens_details",
    "thinking_tokens",
  ],
});

/**
 * Anthropic messages. A stream ends with `message_stop`; vLLM adds a bare `[DONE]`. Usage in `message_start` is a first
 * word, that in `message_delta` a running total: the last value of each field counts.
 */
export class AnthropicReader extends DialectReader {
  override readonly members = MEMBERS;
  private readonly types = new EventTypes();
  /** Input that was neither read from nor written to the cache; the three are disjoint, unlike OpenAI's. */
  private freshTokens: number | null = null;

  override onEvent(name: string, bytes: Uint8Array, start: number, end: number): void {
    if (start === end) return;
    // Without an event line the Anthropic SDKs see nothing; that a server forgot it is no reason to miss an error.
    const type = this.types.typeOf(name, bytes, start, end);
    const facts = this.facts;
    switch (type) {
      case "content_block_delta":
        facts.payloadEvents++;
        facts.contentEvents++;
        return;
      case "content_block_start":
      case "content_block_stop":
        facts.payloadEvents++;
        return;
      case "message_start":
        facts.payloadEvents++;
        this.takeMessage(asObject(this.parse(bytes, start, end)?.["message"]));
        return;
      case "message_delta":
        facts.payloadEvents++;
        this.takeUsage(asObject(this.parse(bytes, start, end)?.["usage"]));
        return;
      case "message_stop":
        facts.payloadEvents++;
        // A connection that broke within the event leaves its name and half its data.
        if (this.parse(bytes, start, end) !== null) facts.terminal = true;
        return;
      case "error":
        this.takeErrorEvent(this.parse(bytes, start, end));
        return;
      default:
        this.takeOther(type, bytes, start, end);
    }
  }

  override onTail(name: string, bytes: Uint8Array, start: number, end: number): void {
    if (name === "" || name.startsWith("message_")) this.takeUsage(lastObjectOf(bytes, start, end, "usage"));
  }

  override onBody(body: JsonObject): void {
    this.takeError(body);
    this.takeMessage(body);
  }

  private takeOther(type: string, bytes: Uint8Array, start: number, end: number): void {
    if (isKeepAlive(type)) return;
    if (type !== "") {
      this.facts.payloadEvents++;
      return;
    }
    // `[DONE]`, or an error that a server on the way made in another shape.
    if (bytes[start] !== 123) return;
    this.facts.payloadEvents++;
    const event = this.parse(bytes, start, end);
    if (event !== null) this.takeError(event);
  }

  private takeMessage(message: JsonObject | null): void {
    this.facts.nameModel(message?.["model"]);
    this.takeUsage(asObject(message?.["usage"]));
  }

  private takeUsage(said: JsonObject | null): void {
    if (said === null) return;
    const usage = this.facts.usage;
    this.freshTokens = asCount(said["input_tokens"]) ?? this.freshTokens;
    usage.cachedTokens = asCount(said["cache_read_input_tokens"]) ?? usage.cachedTokens;
    usage.cacheWriteTokens = asCount(said["cache_creation_input_tokens"]) ?? usage.cacheWriteTokens;
    usage.outputTokens = asCount(said["output_tokens"]) ?? usage.outputTokens;
    const details = asObject(said["output_tokens_details"]);
    usage.reasoningTokens = asCount(details?.["thinking_tokens"]) ?? usage.reasoningTokens;
    // No request has zero input: compatible servers say 0 in `message_start` when they do not know yet.
    const input = (this.freshTokens ?? 0) + (usage.cachedTokens ?? 0) + (usage.cacheWriteTokens ?? 0);
    usage.inputTokens = input > 0 ? input : usage.inputTokens;
  }
}
