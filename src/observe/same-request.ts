import type { AccessRecord } from "./access-log.ts";
import type { LineBytes } from "./line-bytes.ts";
import { Phrase } from "./phrase.ts";

/** How often a request must be another one than the remembered one until it takes that one's place. */
const MISSES_MAX = 32;
/** What takes longer to tell is not worth remembering. */
const BYTES_MAX = 512;

/**
 * Remembers how the access log tells what a request asks for, as many ask for the same: then six members are one
 * phrase.
 */
export class SameRequest {
  readonly phrase = new Phrase("");
  private method: string | null = null;
  private target: string | null = null;
  private model: string | null = null;
  private responseModel: string | null = null;
  private stream: boolean | null = null;
  private group = "";
  private query = false;
  private misses = 0;

  /** Whether `phrase` tells it. `query`: see `writeAccessLine`. */
  is(record: AccessRecord, query: boolean): boolean {
    return (
      this.phrase.length > 0 &&
      record.target === this.target &&
      record.model === this.model &&
      record.responseModel === this.responseModel &&
      record.group === this.group &&
      record.method === this.method &&
      record.stream === this.stream &&
      query === this.query
    );
  }

  /** It was not so. What tells it is written in `lines` from `from` on. */
  missed(record: AccessRecord, query: boolean, lines: LineBytes, from: number): void {
    if (++this.misses < MISSES_MAX || lines.length - from > BYTES_MAX) return;
    this.misses = 0;
    this.phrase.set(lines.textFrom(from));
    this.method = record.method;
    this.target = record.target;
    this.model = record.model;
    this.responseModel = record.responseModel;
    this.stream = record.stream;
    this.group = record.group;
    this.query = query;
  }
}
