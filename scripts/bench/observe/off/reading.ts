// Stands in for src/proxy/reading.ts in the build that observes nothing: an attempt ends by status and first byte.
import { outcomeOfFailure, outcomeOfStatus } from "../../../../src/proxy/outcome.ts";
import type { AnswerHead, BytesEnd } from "../../../../src/proxy/reading.ts";
import type { Attempt } from "./attempt.ts";

export class Reading {
  readonly isReading = false;
  private readonly head: AnswerHead;
  private readonly attempt: Attempt;
  private firstByteMs: number | null = null;

  constructor(_request: unknown, head: AnswerHead, attempt: Attempt) {
    this.head = head;
    this.attempt = attempt;
  }

  feed(): void {
    this.firstByteMs ??= performance.now();
  }

  finish(end: BytesEnd): void {
    const { status, streamed } = this.head;
    const gone = { failed: "cancelled", reach: "body-begun" } as const;
    const measuredMs = (streamed ? this.firstByteMs : null) ?? performance.now();
    if (end === "whole") this.attempt.end(outcomeOfStatus(status, measuredMs - this.attempt.beganMs));
    else this.attempt.end(outcomeOfFailure(end === "client-gone" ? gone : end, end === "client-gone"));
  }
}
