import type { Connection } from "./connection.ts";
import { cut } from "./cut.ts";
import type { BodyFailure, Exchange, HeaderList } from "./exchange.ts";
import { beginPacket, packBody, packChunk, packet, putChunkSize } from "./packet.ts";
import type { RequestHead } from "./request-head.ts";
import { type Framing, packResponseHead } from "./response-head.ts";
import type { SocketWriter } from "./socket-writer.ts";

/** The line with the size of a chunk. */
const CHUNK_LINE_BYTES_MAX = 10;
const CRLF = Buffer.from("\r\n", "latin1");
const LAST_CHUNK = Buffer.from("0\r\n\r\n", "latin1");

/**
 * The answering side of one request. It outlives its turn on the connection only as an empty shell: whoever
 * still holds it after the end writes into nothing, never into the answer to the next request.
 */
export class ServerExchange implements Exchange {
  // What every piece of a stream touches stands first, so that it lies in as few lines of the cache as may be.
  /** Null as soon as the answer is over, one way or another. */
  private connection: Connection | null;
  private readonly writer: SocketWriter;
  private framing: Framing = "none";
  /** Head not yet sent: it travels with the first piece of the body where that is there in the same turn. */
  private pendingHead: Buffer | null = null;
  bytesOut = 0;
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderList;
  readonly head: RequestHead;
  onAbort: (() => void) | null = null;
  onDrain: (() => void) | null = null;
  onFinished: (() => void) | null = null;
  aborted = false;
  /** Bytes of an announced Content-Length that are still to come. */
  private missing = 0;

  constructor(connection: Connection, head: RequestHead) {
    this.connection = connection;
    this.writer = connection.writer;
    this.head = head;
    this.method = head.method;
    this.target = head.target;
    this.headers = head.headers;
  }

  get remoteAddress(): string {
    return this.connection?.remoteAddress ?? "";
  }

  readBody(bytesMax: number): Promise<Uint8Array | BodyFailure> | Uint8Array | BodyFailure {
    return this.connection?.readBody(bytesMax) ?? "closed";
  }

  respond(status: number, headers: HeaderList, body: Uint8Array | null): void {
    const connection = this.connection;
    if (connection === null) return;
    const length = body?.length ?? 0;
    const framing = status === 204 || status === 304 ? "none" : length;
    const keepAlive = connection.mayKeep();
    const headEnd = packResponseHead(status, headers, framing, keepAlive);
    const isBodiless = length === 0 || this.method === "HEAD" || framing === "none";
    this.sendWithHead(headEnd, isBodiless ? null : body);
    this.finish(keepAlive);
  }

  start(status: number, headers: HeaderList, length: number | null): void {
    const connection = this.connection;
    if (connection === null) return;
    const bodiless = status === 204 || status === 304;
    this.framing = bodiless ? "none" : (length ?? (this.head.http11 ? "chunked" : "until-close"));
    this.missing = length ?? 0;
    const keepAlive = this.framing !== "until-close" && connection.mayKeep();
    const headEnd = packResponseHead(status, headers, this.framing, keepAlive);
    this.pendingHead = Buffer.copyBytesFrom(packet.bytes, 0, headEnd);
    if (this.method === "HEAD") this.framing = "none";
    connection.keepAfterAnswer = keepAlive;
    setImmediate(() => this.sendHead());
  }

  write(bytes: Uint8Array, from = 0, to = bytes.length, isOneChunk = false): boolean {
    if (this.connection === null) return true;
    if (this.framing === "none" || from === to) return this.writer.isDrained();
    if (this.framing === "chunked") {
      if (isOneChunk && this.pendingHead === null) return this.send(bytes);
      return this.sendChunk(this.packHead(), bytes, from, to);
    }
    if (typeof this.framing === "number") {
      // More than was announced would be taken for the next answer.
      to = Math.min(to, from + this.missing);
      this.missing -= to - from;
    }
    return this.sendWithHead(this.packHead(), cut(bytes, from, to));
  }

  end(): void {
    const connection = this.connection;
    if (connection === null) return;
    if (typeof this.framing === "number" && this.missing > 0) {
      this.cut();
      return;
    }
    this.sendHead();
    if (this.framing === "chunked") this.send(LAST_CHUNK);
    this.finish(connection.keepAfterAnswer);
  }

  cut(): void {
    if (this.framing === "until-close") {
      this.reset();
      return;
    }
    this.sendHead();
    this.finish(false);
  }

  reset(): void {
    const connection = this.connection;
    this.connection = null;
    this.pendingHead = null;
    connection?.resetAnswer(this);
  }

  writeRaw(bytes: Uint8Array): boolean {
    const connection = this.connection;
    if (connection === null) return true;
    connection.keepAfterAnswer = false;
    return this.send(bytes);
  }

  /** The connection is gone: tell whoever is at work on the answer. */
  abort(): void {
    this.connection = null;
    this.pendingHead = null;
    if (this.aborted) return;
    this.aborted = true;
    this.onAbort?.();
    this.onFinished?.();
  }

  private sendHead(): void {
    if (this.pendingHead !== null) this.sendPacket(this.packHead());
  }

  /** Puts the head that is not yet sent into the packet. Gives where it ends, 0 when there is none. */
  private packHead(): number {
    const head = this.pendingHead;
    if (head === null) return 0;
    this.pendingHead = null;
    beginPacket(head.length + CHUNK_LINE_BYTES_MAX).set(head);
    return head.length;
  }

  /** Sends the head in the packet, which ends at `headEnd`, and what is behind it. */
  private sendWithHead(headEnd: number, body: Uint8Array | null): boolean {
    const packed = packBody(headEnd, body);
    if (packed >= 0) return this.sendPacket(packed);
    if (headEnd > 0) this.sendPacket(headEnd);
    return this.send(body!);
  }

  /** The same with a piece of a body as a chunk. */
  private sendChunk(headEnd: number, bytes: Uint8Array, from: number, to: number): boolean {
    const packed = packChunk(headEnd, bytes, from, to);
    if (packed >= 0) return this.sendPacket(packed);
    this.sendPacket(putChunkSize(packet.bytes, headEnd, to - from));
    this.send(cut(bytes, from, to));
    return this.send(CRLF);
  }

  private send(bytes: Uint8Array): boolean {
    this.bytesOut += bytes.length;
    return this.connection === null || this.writer.send(bytes) || this.onKept();
  }

  private sendPacket(length: number): boolean {
    this.bytesOut += length;
    return this.connection === null || this.writer.sendPacket(length) || this.onKept();
  }

  /** The socket has not taken all of a write. */
  private onKept(): false {
    this.connection?.watchStall();
    return false;
  }

  private finish(keepAlive: boolean): void {
    const connection = this.connection;
    this.connection = null;
    connection?.endAnswer(this, keepAlive);
  }
}
