import type { Socket } from "bun";

import { Deadline } from "../shared/deadlines.ts";
import { BodyShare } from "./body-share.ts";
import type { ConnectionHost } from "./connection-host.ts";
import { cut } from "./cut.ts";
import type { BodyFailure } from "./exchange.ts";
import type { Retirable } from "./idle-connections.ts";
import { NO_BODY, RequestBody } from "./request-body.ts";
import { endOfHead, NO_REQUEST, parseRequestHead, type RequestHead, startOfHead } from "./request-head.ts";
import { ServerExchange } from "./server-exchange.ts";
import { SocketWriter } from "./socket-writer.ts";

/** Bytes of following requests that are held while one is being answered; the socket then pauses. */
const PIPELINED_BYTES_MAX = 65_536;
const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n", "latin1");

/**
 * One client connection: finds the requests in what arrives and hands them on one at a time, in order.
 *
 * `idle` (nothing arrived) -> `head` -> `answering` (the exchange is out) -> `flushing` (the client has not taken all of
 * it) -> `idle` or `lingering` (our side is closed, the rest of the client's bytes is thrown away) -> `closed`.
 */
export class Connection implements Retirable {
  readonly socket: Socket<Connection>;
  readonly remoteAddress: string;
  /** Decided when an answer begins, acted on when it ends. */
  keepAfterAnswer = false;
  readonly writer: SocketWriter;
  idleBefore: Retirable | null = null;
  idleAfter: Retirable | null = null;
  private readonly host: ConnectionHost;
  private state: "idle" | "head" | "answering" | "flushing" | "lingering" | "closed" = "idle";
  /** Bytes not yet read as a head or body. */
  private input: Buffer | null = null;
  /** Where the search for the end of the head goes on. */
  private searched = 0;
  private exchange: ServerExchange | null = null;
  /** Its answer is complete, but the client has not taken all of it. */
  private finished: ServerExchange | null = null;
  private bodyState: "none" | "unread" | "reading" | "read" = "none";
  /** The body that is being read. */
  private body: RequestBody | null = null;
  private readonly memory: BodyShare;
  private paused = false;
  private served = false;
  private readonly deadline: Deadline;

  constructor(socket: Socket<Connection>, host: ConnectionHost) {
    this.socket = socket;
    this.writer = new SocketWriter(socket);
    this.host = host;
    this.memory = new BodyShare(host.bodyBytes);
    this.remoteAddress = socket.remoteAddress;
    this.deadline = new Deadline(() => this.onDeadline());
    // A client that connects owes us a head, from now on.
    this.deadline.arm(host.headQueue);
  }

  // ---- what the socket tells

  onData(chunk: Buffer): void {
    if (this.state === "lingering" || this.state === "closed") return;
    // As good as lingering, but for the rest of the answer.
    if (this.state === "flushing" && !this.keepAfterAnswer) return;
    if (this.body !== null) {
      this.feedBody(this.body, chunk);
      return;
    }
    this.input = this.input === null ? chunk : Buffer.concat([this.input, chunk]);
    if (this.state === "idle" || this.state === "head") this.readHead();
    else if (!this.paused && this.input.length > PIPELINED_BYTES_MAX) {
      this.paused = true;
      this.socket.pause();
      if (!this.memory.take(this.input.length)) this.destroy();
    }
  }

  onDrain(): void {
    if (!this.writer.drain()) {
      // It took some: slow, but not stalled.
      this.deadline.arm(this.host.writeQueue);
      return;
    }
    this.deadline.cancel();
    if (this.state === "flushing") this.finish();
    else this.exchange?.onDrain?.();
  }

  /** The client closed its side. Nobody is left to answer: half-closed is not told apart from gone. */
  onEnd(): void {
    this.socket.end();
    this.onClose();
  }

  onClose(): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.deadline.cancel();
    this.writer.clear();
    this.input = null;
    this.memory.release();
    this.host.idle.delete(this);
    this.host.forget(this);
    this.failBody("closed");
    const exchange = this.exchange ?? this.finished;
    this.exchange = null;
    this.finished = null;
    exchange?.abort();
  }

  /** Closes a connection that has nothing in progress; the others close after their answer. */
  retire(): void {
    if (this.state === "idle" && this.input === null) this.onEnd();
  }
  /** As the server stops: one at rest may still bring a request, but not for long. */
  retireSoon(): void {
    if (this.state === "idle" && this.input === null) this.deadline.arm(this.host.graceQueue);
  }

  destroy(): void {
    this.socket.terminate();
    this.onClose();
  }

  private onDeadline(): void {
    if (this.state === "head") this.refuse(408, "The request head did not arrive in time.");
    else if (this.body !== null) this.failBody("stalled");
    // Closed, not reset: the kernel still delivers the end of an answer that the client reads late.
    else if (this.state === "idle" || this.state === "lingering") this.onEnd();
    else this.destroy();
  }

  // ---- requests

  private readHead(): void {
    const input = this.input;
    if (input === null || (this.state !== "idle" && this.state !== "head")) return;
    if (this.state === "idle") this.beginHead();
    const end = endOfHead(input, this.searched, this.host.headBytesMax);
    if (end === null) {
      this.searched = input.length;
      return;
    }
    if (typeof end !== "number") return this.refuse(end.status, end.message);
    this.searched = 0;
    const head = parseRequestHead(input, startOfHead(input), end + 2, this.host.headersMax);
    this.input = end + 4 === input.length ? null : cut(input, end + 4, input.length);
    if (!("method" in head)) return this.refuse(head.status, head.message);
    this.begin(head);
  }

  private beginHead(): void {
    this.state = "head";
    this.host.idle.delete(this);
    // The first head's time began with the connection.
    if (this.served) this.deadline.arm(this.host.headQueue);
  }

  private begin(head: RequestHead): void {
    this.deadline.cancel();
    this.state = "answering";
    this.keepAfterAnswer = false;
    this.bodyState = head.contentLength === 0 ? "none" : "unread";
    const exchange = new ServerExchange(this, head);
    this.exchange = exchange;
    this.host.onRequest(exchange);
  }

  /** Has something answered that is no request, or none yet, and closes. */
  refuse(status: number, message: string): void {
    this.deadline.cancel();
    this.state = "answering";
    this.bodyState = "unread";
    const exchange = new ServerExchange(this, NO_REQUEST);
    this.exchange = exchange;
    this.host.onRefusal(exchange, status, message);
  }

  // ---- request bodies

  readBody(bytesMax: number): Promise<Uint8Array | BodyFailure> | Uint8Array | BodyFailure {
    const head = this.exchange!.head;
    if (this.bodyState === "none") return NO_BODY;
    if (head.contentLength > bytesMax) return "too-large";
    const whole = this.takeWholeBody(head.contentLength);
    if (whole !== null) return this.memory.take(whole.length) ? whole : "no-room";
    const input = this.input;
    this.bodyState = "reading";
    this.resume();
    if (head.expectsContinue && input === null) this.writer.send(CONTINUE);
    this.input = null;
    const body = new RequestBody(head.contentLength, bytesMax, this.memory);
    this.body = body;
    this.deadline.arm(this.host.stallQueue);
    if (input !== null) this.feedBody(body, input);
    return body.whole;
  }

  /** A body of this length that is all there already, and not yet read. */
  private takeWholeBody(length: number): Uint8Array | null {
    const input = this.input;
    if (this.bodyState !== "unread" || input === null || length <= 0 || input.length < length) return null;
    this.bodyState = "read";
    this.input = input.length === length ? null : cut(input, length, input.length);
    return cut(input, 0, length);
  }

  private feedBody(body: RequestBody, chunk: Buffer): void {
    const used = body.feed(chunk);
    if (used === null) {
      this.deadline.arm(this.host.stallQueue);
      return;
    }
    this.body = null;
    this.deadline.cancel();
    if (used < 0) return;
    this.bodyState = "read";
    if (used < chunk.length) this.input = cut(chunk, used, chunk.length);
  }

  private failBody(failure: BodyFailure): void {
    this.body?.fail(failure);
    this.body = null;
  }

  // ---- answers

  /** Whether the connection can serve another request after this answer: nothing of the body is outstanding. */
  mayKeep(): boolean {
    if (this.exchange === null) return false;
    // A body that nobody wants, as the request is refused, is passed over where that costs nothing.
    this.takeWholeBody(this.exchange.head.contentLength);
    const bodyIsIn = this.bodyState === "none" || this.bodyState === "read";
    return bodyIsIn && !this.host.stopping && this.exchange.head.keepAlive;
  }

  /** The writer keeps something: the client must not stall for long. */
  watchStall(): void {
    this.deadline.arm(this.writer.gone ? this.host.lingerQueue : this.host.writeQueue);
  }

  endAnswer(exchange: ServerExchange, keepAlive: boolean): void {
    this.keepAfterAnswer = keepAlive;
    this.failBody("closed");
    this.memory.release();
    this.finished = exchange;
    this.exchange = null;
    this.state = "flushing";
    if (this.writer.isDrained()) this.finish();
  }

  resetAnswer(exchange: ServerExchange): void {
    this.exchange = null;
    this.destroy();
    exchange.onFinished?.();
  }

  /** The answer has been handed over whole. */
  private finish(): void {
    const exchange = this.finished;
    this.finished = null;
    if (this.keepAfterAnswer) this.next();
    else this.linger();
    exchange?.onFinished?.();
  }

  /** Waits for the next request, or takes it up if it is already there. */
  private next(): void {
    this.state = "idle";
    this.served = true;
    this.resume();
    if (this.input === null) {
      // Its answer has promised to keep it, so a request may be on its way though the server stops.
      this.deadline.arm(this.host.stopping ? this.host.graceQueue : this.host.idleQueue);
      this.host.idle.add(this);
    }
    // In a turn of its own: a client that pipelines must not grow the stack, nor starve others.
    else setImmediate(() => this.readHead());
  }

  /**
   * Closes our side and reads on for a moment: closing at once with unread bytes would reset the connection
   * and could destroy the answer on its way (RFC 9112 9.6).
   */
  private linger(): void {
    this.state = "lingering";
    this.input = null;
    this.deadline.arm(this.host.lingerQueue);
    this.socket.shutdown();
    this.resume();
  }

  private resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.socket.resume();
  }
}
