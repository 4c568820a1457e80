import { DialectReader, isKeepAlive } from "./dialect-reader.ts";
import { asArray, asCount, asObject, type JsonObject, lastObjectOf } from "./json.ts";
import { Members } from "./members.ts";

/** Candidates beyond the thirtieth share one bit of the sets below. */
const CANDIDATE_INDEX_MAX = 30;

const MEMBERS = new Members(["modelVersion", "usageMetadata"], {
  others: ["error"],
  counts: [
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "cachedContentTokenCount",
    "thoughtsTokenCount",
  ],
});

/**
 * Gemini's generateContent. Every event is a whole response object with running totals; there is no end marker: a
 * stream has ended when every candidate has its `finishReason`, or the prompt was blocked. Events are few and large,
 * and all carry usage, so all are parsed.
 */
export class GeminiReader extends DialectReader {
  override readonly members = MEMBERS;
  // Sets of candidates: bit n stands for candidate n.
  private candidatesSeen = 0;
  private candidatesFinished = 0;
  private promptTokens: number | null = null;
  private toolPromptTokens: number | null = null;
  private candidateTokens: number | null = null;

  override onEvent(name: string, bytes: Uint8Array, start: number, end: number): void {
    if (start === end || isKeepAlive(name)) return;
    this.facts.payloadEvents++;
    const event = this.parse(bytes, start, end);
    if (event === null) return;
    this.onBody(event);
    if (this.takeCandidates(event)) this.facts.contentEvents++;
  }

  override onTail(_name: string, bytes: Uint8Array, start: number, end: number): void {
    this.takeUsage(lastObjectOf(bytes, start, end, "usageMetadata"));
  }

  override onBody(body: JsonObject): void {
    this.takeError(body);
    this.facts.nameModel(body["modelVersion"]);
    this.takeUsage(asObject(body["usageMetadata"]));
  }

  /** Notes which candidates have finished. Gives whether one of them has output here. */
  private takeCandidates(event: JsonObject): boolean {
    const candidates = asArray(event["candidates"]);
    let hasOutput = false;
    for (const value of candidates) {
      const candidate = asObject(value);
      if (candidate === null) continue;
      const bit = 1 << Math.min(asCount(candidate["index"]) ?? 0, CANDIDATE_INDEX_MAX);
      this.candidatesSeen |= bit;
      if (candidate["finishReason"]) this.candidatesFinished |= bit;
      hasOutput ||= asArray(asObject(candidate["content"])?.["parts"]).length > 0;
    }
    const isBlocked = candidates.length === 0 && asObject(event["promptFeedback"])?.["blockReason"];
    const isFinished = this.candidatesSeen !== 0 && this.candidatesSeen === this.candidatesFinished;
    this.facts.terminal = Boolean(isBlocked) || isFinished;
    return hasOutput;
  }

  /** Tool prompts are not in the prompt's count, nor thoughts in the candidates'; the cached part is in the prompt's. */
  private takeUsage(said: JsonObject | null): void {
    if (said === null) return;
    const usage = this.facts.usage;
    this.promptTokens = asCount(said["promptTokenCount"]) ?? this.promptTokens;
    this.toolPromptTokens = asCount(said["toolUsePromptTokenCount"]) ?? this.toolPromptTokens;
    this.candidateTokens = asCount(said["candidatesTokenCount"]) ?? this.candidateTokens;
    usage.cachedTokens = asCount(said["cachedContentTokenCount"]) ?? usage.cachedTokens;
    usage.reasoningTokens = asCount(said["thoughtsTokenCount"]) ?? usage.reasoningTokens;
    usage.inputTokens = sum(this.promptTokens, this.toolPromptTokens);
    usage.outputTokens = sum(this.candidateTokens, usage.reasoningTokens);
  }
}

/** Null only when both are unknown. */
function sum(a: number | null, b: number | null): number | null {
  return a === null ? b : a + (b ?? 0);
}
