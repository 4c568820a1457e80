import { asCount, asObject } from "./json.ts";

/**
 * Tokens that an upstream reports for one request. Null = it did not say, which is not 0. Fields are comparable
 * across dialects: cached and cache-write tokens are part of the input, reasoning tokens part of the output.
 */
export interface Usage {
  inputTokens: number | null;
  outputTokens: number | null;
  /** Input read from the provider's prompt cache. */
  cachedTokens: number | null;
  /** Input written to the provider's prompt cache. */
  cacheWriteTokens: number | null;
  /** Output that the model thought and did not say. */
  reasoningTokens: number | null;
}

/** Nothing known. */
export function unknownUsage(): Usage {
  return {
    inputTokens: null,
    outputTokens: null,
    cachedTokens: null,
    cacheWriteTokens: null,
    reasoningTokens: null,
  };
}

/** What is read of such an object. */
export const OPENAI_COUNTS = [
  "prompt_tokens",
  "input_tokens",
  "completion_tokens",
  "output_tokens",
  "prompt_tokens_details",
  "input_tokens_details",
  "completion_tokens_details",
  "output_tokens_details",
  "cached_tokens",
  "cache_write_tokens",
  "reasoning_tokens",
] as const;

/**
 * Takes over what a `usage` object of OpenAI's form says: `prompt_tokens` and `completion_tokens` (chat, completions,
 * embeddings) or `input_tokens` and `output_tokens` (responses, images, audio). Such objects are running totals, so
 * the last value of each field counts and nothing is added up. Gives false when the object says nothing: compatible
 * servers fill ordinary chunks with zeros, but no request has zero input.
 */
export function takeOpenAiUsage(usage: Usage, value: unknown): boolean {
  const said = asObject(value);
  if (said === null) return false;
  const input = asCount(said["prompt_tokens"]) ?? asCount(said["input_tokens"]);
  const output = asCount(said["completion_tokens"]) ?? asCount(said["output_tokens"]);
  if ((input === null && output === null) || (!input && !output)) return false;
  const inputDetails = asObject(said["prompt_tokens_details"]) ?? asObject(said["input_tokens_details"]);
  const outputDetails =
    asObject(said["completion_tokens_details"]) ?? asObject(said["output_tokens_details"]);
  usage.inputTokens = input ?? usage.inputTokens;
  usage.outputTokens = output ?? usage.outputTokens;
  usage.cachedTokens = asCount(inputDetails?.["cached_tokens"]) ?? usage.cachedTokens;
  usage.cacheWriteTokens = asCount(inputDetails?.["cache_write_tokens"]) ?? usage.cacheWriteTokens;
  usage.reasoningTokens = asCount(outputDetails?.["reasoning_tokens"]) ?? usage.reasoningTokens;
  return true;
}
