// Stands in for src/proxy/reading.ts in the build that observes on demand.
import type { Attempt } from "../../../../src/proxy/attempt.ts";
import { type AnswerHead, Reading as On } from "../../../../src/proxy/reading.ts";
import type { ProxyRequest } from "../../../../src/proxy/request.ts";
import { Attempt as OffAttempt } from "../off/attempt.ts";
import { Reading as Off } from "../off/reading.ts";

export class Reading {
  constructor(request: ProxyRequest, head: AnswerHead, attempt: Attempt | OffAttempt) {
    return attempt instanceof OffAttempt ? new Off(request, head, attempt) : new On(request, head, attempt);
  }
}
