import { DialectReader, isKeepAlive, LEARNING_EVENTS_MAX } from "./dialect-reader.ts";
import { asArray, asCount, asObject, type JsonObject, membersFrom } from "./json.ts";
import { KeyScanner } from "./key-scanner.ts";
import { Members } from "./members.ts";

const TELLING = new KeyScanner(["done", "error"]);

const MEMBERS = new Members(["model", "prompt_eval_count", "eval_count"], { others: ["error"] });

/**
 * Ollama's own chat, generate and embed. A stream is JSON lines; the last has `"done": true` and the counts. A count is
 * left out when it is 0, and by old versions when the prompt was cached: unknown, then.
 */
export class OllamaReader extends DialectReader {
  override readonly members = MEMBERS;

  override onEvent(name: string, bytes: Uint8Array, start: number, end: number): void {
    const facts = this.facts;
    if (start === end || isKeepAlive(name)) return;
    facts.payloadEvents++;
    const isLearning = facts.contentEvents === 0 && facts.payloadEvents <= LEARNING_EVENTS_MAX;
    if (!isLearning && !TELLING.test(bytes, start, end)) {
      facts.contentEvents++;
      return;
    }
    const line = this.parse(bytes, start, end);
    if (line === null) return;
    this.onBody(line);
    if (line["done"] === true) facts.terminal = true;
    if (hasOutput(line)) facts.contentEvents++;
  }

  override onTail(_name: string, bytes: Uint8Array, start: number, end: number): void {
    // The counts follow the durations, at the end of the object.
    const members = membersFrom(bytes, start, end, "total_duration");
    if (members === null) return;
    this.facts.terminal = true;
    this.takeUsage(members);
  }

  override onBody(body: JsonObject): void {
    this.takeError(body);
    this.facts.nameModel(body["model"]);
    this.takeUsage(body);
  }

  private takeUsage(said: JsonObject): void {
    const usage = this.facts.usage;
    usage.inputTokens = asCount(said["prompt_eval_count"]) ?? usage.inputTokens;
    usage.outputTokens = asCount(said["eval_count"]) ?? usage.outputTokens;
  }
}

function hasOutput(line: JsonObject): boolean {
  const message = asObject(line["message"]);
  return (
    isText(line["response"]) ||
    isText(line["thinking"]) ||
    isText(message?.["content"]) ||
    isText(message?.["thinking"]) ||
    asArray(message?.["tool_calls"]).length > 0
  );
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}
