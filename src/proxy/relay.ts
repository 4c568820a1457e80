import type { Exchange } from "../http/exchange.ts";
import type { Attempt } from "./attempt.ts";
import type { OpenAnswer, WholeAnswer } from "./forward.ts";
import { clientHeaders, headerValue } from "./headers.ts";
import { type BytesEnd, Reading } from "./reading.ts";
import type { ProxyRequest } from "./request.ts";
import type { BodySink, TransportFailure } from "./transport/transport.ts";

/**
 * Passes an open answer on to the client, piece by piece as it comes. The client's pace holds the upstream
 * back; a broken upstream breaks the client's answer visibly; a client that leaves cancels the upstream.
 * The attempt ends when the last of it is known.
 */
export function relay(request: ProxyRequest, answer: OpenAnswer, attempt: Attempt): void {
  const { exchange, control, observation } = request;
  const headers = clientHeaders(answer.headers, request.id, isEventStream(answer));
  observation.answered(answer.status);
  exchange.start(answer.status, headers, answer.length);
  const relaying = new Relay(request, answer, attempt);
  exchange.onDrain = () => answer.body.resume();
  control.onGivenUp = () => relaying.giveUp();
  answer.body.pump(relaying);
  observation.pause();
  // Given up in the moment between the head and this.
  if (control.givenUp !== null) relaying.giveUp();
}

/** Sends an answer that is there as a whole. It is read once the client has it. */
export function sendWhole(request: ProxyRequest, answer: WholeAnswer, attempt: Attempt | null): void {
  const { exchange, observation } = request;
  const { status, headers, bytes } = answer;
  const reading = attempt === null ? null : new Reading(request, answer, attempt);
  observation.answered(status);
  if (reading !== null && !reading.isReading) reading.finish("whole");
  exchange.respond(status, clientHeaders(headers, request.id, false), bytes);
  if (reading === null || !reading.isReading) return;
  reading.feed(bytes, 0, bytes.length);
  reading.finish("whole");
}

class Relay implements BodySink {
  private readonly exchange: Exchange;
  private readonly request: ProxyRequest;
  private readonly answer: OpenAnswer;
  private readonly reading: Reading;
  private begun = false;
  private over = false;

  constructor(request: ProxyRequest, answer: OpenAnswer, attempt: Attempt) {
    this.request = request;
    this.exchange = request.exchange;
    this.answer = answer;
    this.reading = new Reading(request, answer, attempt);
  }

  piece(bytes: Uint8Array, from: number, to: number, isOneChunk: boolean): void {
    if (this.over) return;
    if (!this.begun) {
      this.begun = true;
      if (this.answer.streamed) this.request.control.liftLimit();
    }
    if (!this.exchange.write(bytes, from, to, isOneChunk)) this.answer.body.pause();
    this.reading.feed(bytes, from, to);
  }

  end(): void {
    if (this.over) return;
    this.request.control.liftLimit();
    this.exchange.end();
    this.finish("whole");
  }

  fail(failure: TransportFailure): void {
    if (this.over) return;
    const { control, observation } = this.request;
    control.liftLimit();
    const isGone = control.givenUp === "client-gone";
    if (!isGone) observation.error = control.givenUp === "timeout" ? "upstream_timeout" : "upstream_broken";
    this.exchange.cut();
    this.finish(isGone ? "client-gone" : failure);
  }

  /** The client has gone, or the time is up. The transport may tell of it later; we need not wait for that. */
  giveUp(): void {
    this.fail({ failed: "cancelled", reach: "body-begun" });
    this.answer.call.cancel();
    this.answer.body.resume();
  }

  private finish(end: BytesEnd): void {
    this.over = true;
    this.reading.finish(end);
  }
}

function isEventStream(answer: OpenAnswer): boolean {
  const type = headerValue(answer.headers, "content-type");
  return type !== null && type.trimStart().toLowerCase().startsWith("text/event-stream");
}
