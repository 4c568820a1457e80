import { codingOf } from "./codecs.ts";
import { CompressedReader } from "./compressed-reader.ts";
import type { ResponseFacts } from "./response-facts.ts";
import { type ResponseHead, type ResponseListener, ResponseReader, type Verdict } from "./response-reader.ts";

/** Watches a response beside its way to the client, in clear text or compressed. */
export interface ResponseWatch {
  /** What is known so far. */
  readonly facts: ResponseFacts;
  /**
   * Takes the next bytes of the body as they were received, from `from` to before `to`, by default all, once the client
   * has them. They must not change later.
   */
  feed(chunk: Uint8Array, from?: number, to?: number): void;
  /**
   * The body is over; `clean`: as HTTP has it, and not by a lost connection. Gives the verdict: at once, or some
   * milliseconds later when there is something left to unpack. Called once.
   */
  end(clean: boolean): Verdict | Promise<Verdict>;
  /** Nobody wants to know any more: frees what is held. A promised verdict does not follow. */
  cancel(): void;
}

/**
 * Begins to watch a response whose head is in. `contentEncoding` is the header's value, null when absent; a coding that
 * is not known makes the body opaque.
 */
export function watchResponse(
  head: ResponseHead,
  contentEncoding: string | null,
  listener: ResponseListener | null = null,
): ResponseWatch {
  const reader = new ResponseReader(head, listener);
  const coding = codingOf(contentEncoding);
  return coding === "" ? reader : new CompressedReader(reader, coding);
}
