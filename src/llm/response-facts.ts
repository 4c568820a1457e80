import type { ResponseError } from "./response-error.ts";
import { unknownUsage, type Usage } from "./usage.ts";

/** How a body is cut into pieces: SSE events, JSON lines, elements of a JSON array, one JSON text, or nothing readable. */
export type Framing = "undecided" | "events" | "lines" | "elements" | "body" | "opaque";

/** A model's name is cut at this length. */
const MODEL_CHARS_MAX = 128;

/** What has been learnt of a response so far. Written by the readers of this folder, read by everybody else. */
export class ResponseFacts {
  framing: Framing = "undecided";
  readonly usage: Usage = unknownUsage();
  /** The model that the response names; often a dated name of the one that was asked for. */
  model: string | null = null;
  /** Events with data, without comments, pings and end markers. */
  payloadEvents = 0;
  /**
   * Those with output of the model: text, reasoning, tool calls. Exact for the first one and for all that had to be
   * parsed; of the rest each is presumed to have some.
   */
  contentEvents = 0;
  /** The event that ends a stream of its dialect was seen: a client that leaves now has got everything. */
  terminal = false;
  /** An error inside a response whose status says success, or the error that a failing status came with. */
  error: ResponseError | null = null;
  /** Pieces that should have been JSON and were not. */
  parseFailures = 0;
  /** Pieces that were too long to read. */
  oversizedEvents = 0;
  /** The content coding was unknown or broken, or unpacking it went over its bounds. */
  undecodable = false;

  /** Notes the name of the model, when the value is one and none is known. */
  nameModel(value: unknown): void {
    if (this.model !== null || typeof value !== "string" || value === "") return;
    this.model = value.slice(0, MODEL_CHARS_MAX);
  }
}
