import type { Exchange, HeaderList } from "../http/exchange.ts";
import { packet } from "../http/packet.ts";
import { type Framing, packResponseHead } from "../http/response-head.ts";

/** The peer's end of an answer: lets it wait, for a while or for a slow reader, until the peer has gone. */
export class Peer {
  gone: boolean;
  private wake: (() => void) | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private draining = false;

  constructor(exchange: Exchange) {
    this.gone = exchange.aborted;
    exchange.onAbort = () => {
      this.gone = true;
      this.resume();
    };
    exchange.onDrain = () => {
      if (this.draining) this.resume();
    };
  }

  /** Resolves after a time, or as soon as the peer has gone. */
  wait(durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.gone) {
        resolve();
        return;
      }
      this.wake = resolve;
      this.timer = setTimeout(() => this.resume(), durationMs);
    });
  }

  /** Resolves when the peer has taken what was written, or has gone. To be called after a write gave false. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      if (this.gone) {
        resolve();
        return;
      }
      this.draining = true;
      this.wake = resolve;
    });
  }

  private resume(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.draining = false;
    const wake = this.wake;
    this.wake = null;
    wake?.();
  }
}

/** How a response gets onto the wire: by the server's rules, or by our own. */
export interface Output {
  head(status: number, headers: HeaderList, length: number | null): boolean;
  /** Writes a piece of the body. False: the peer is slow. */
  body(bytes: Uint8Array): boolean;
  /** Writes the first part of a piece; the rest never comes. */
  partOfBody(bytes: Uint8Array, announced: number): boolean;
  /** Writes what says that the body is complete. */
  endOfBody(): void;
}

/** The server frames the answer, and keeps the connection. */
export class FramedOutput implements Output {
  private readonly exchange: Exchange;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
  }

  head(status: number, headers: HeaderList, length: number | null): boolean {
    this.exchange.start(status, headers, length);
    return true;
  }

  body(bytes: Uint8Array): boolean {
    return this.exchange.write(bytes);
  }

  partOfBody(bytes: Uint8Array): boolean {
    return this.exchange.write(bytes);
  }

  endOfBody(): void {
    this.exchange.end();
  }
}

const LAST_CHUNK = Buffer.from("0\r\n\r\n", "latin1");

/** We frame the answer ourselves, and may stop anywhere. The connection serves no other request. */
export class RawOutput implements Output {
  private readonly exchange: Exchange;
  private readonly closing: boolean;
  private readonly untilClose: boolean;
  private framing: Framing = "none";

  /** `closing`: the head says so. `untilClose`: the body ends with the connection. */
  constructor(exchange: Exchange, closing: boolean, untilClose: boolean) {
    this.exchange = exchange;
    this.closing = closing;
    this.untilClose = untilClose;
  }

  /** The bytes of a response head; decides how the body is framed. */
  headBytes(status: number, headers: HeaderList, length: number | null): Uint8Array {
    const bodiless = status === 204 || status === 304;
    this.framing = bodiless ? "none" : this.untilClose ? "until-close" : (length ?? "chunked");
    const headEnd = packResponseHead(status, headers, this.framing, !this.closing);
    return Buffer.copyBytesFrom(packet.bytes, 0, headEnd);
  }

  head(status: number, headers: HeaderList, length: number | null): boolean {
    const bytes = this.headBytes(status, headers, length);
    if (this.exchange.method === "HEAD") this.framing = "none";
    return this.exchange.writeRaw(bytes);
  }

  body(bytes: Uint8Array): boolean {
    if (this.framing === "none" || bytes.length === 0) return true;
    if (this.framing !== "chunked") return this.exchange.writeRaw(bytes);
    return this.exchange.writeRaw(Buffer.concat([chunkHead(bytes.length), bytes, CRLF]));
  }

  partOfBody(bytes: Uint8Array, announced: number): boolean {
    if (this.framing !== "chunked") return this.body(bytes);
    return this.exchange.writeRaw(Buffer.concat([chunkHead(announced), bytes]));
  }

  endOfBody(): void {
    if (this.framing === "chunked") this.exchange.writeRaw(LAST_CHUNK);
  }
}

const CRLF = Buffer.from("\r\n", "latin1");

function chunkHead(size: number): Uint8Array {
  return Buffer.from(`${size.toString(16)}\r\n`, "latin1");
}
