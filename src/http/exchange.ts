import type { IdleConnections } from "./idle-connections.ts";

/**
 * Header fields as they came: name, value, name, value, ... in order, names in the case they were sent in,
 * repeated fields repeated. Values are byte strings (one character per byte).
 */
export type HeaderList = string[];

/** Why a request body could not be read. */
export type BodyFailure = "too-large" | "no-room" | "stalled" | "malformed" | "closed";

/** One request of a client, and the way to answer it. Made by `server.ts`; answered exactly once. */
export interface Exchange {
  readonly method: string;
  /** Path and query exactly as sent: `/v1/models?x=%7e`. Always begins with `/`. */
  readonly target: string;
  readonly headers: HeaderList;
  /** The peer's address as text: `127.0.0.1`, `::1`. */
  readonly remoteAddress: string;

  /**
   * Gives the whole body (empty when there is none). May be called once. A body over `bytesMax` is
   * `too-large`, one that finds no memory left `no-room`; one that stops for the server's stall limit is `stalled`.
   */
  readBody(bytesMax: number): Promise<Uint8Array | BodyFailure> | Uint8Array | BodyFailure;

  /** Called once if the client goes away before the answer is complete. Set it before awaiting anything. */
  onAbort: (() => void) | null;
  /** True once the client has gone. */
  readonly aborted: boolean;

  /** Answers in one piece, with a Content-Length (none for 204, 304; HEAD sends only the head). */
  respond(status: number, headers: HeaderList, body: Uint8Array | null): void;

  /**
   * Begins a streamed answer. `length` is its Content-Length where known, else null: the body is then
   * chunked, or ends with the connection for an HTTP/1.0 client.
   */
  start(status: number, headers: HeaderList, length: number | null): void;
  /**
   * Sends a piece of the body at once: the bytes from `from` to before `to`, by default all. `isOneChunk`: `bytes` is
   * that piece as one chunk of RFC 9112 7.1 with nothing before or after it, which need not be framed anew. Gives false
   * when the client is slow: the bytes are kept, and nothing more should be written before `onDrain` was called.
   */
  write(bytes: Uint8Array, from?: number, to?: number, isOneChunk?: boolean): boolean;
  onDrain: (() => void) | null;
  /** Ends a streamed answer cleanly. With bytes of `length` still missing it cuts instead. */
  end(): void;
  /**
   * Breaks the answer visibly, behind what was written: the connection closes without the final chunk or with
   * bytes of the announced length missing; where the end of the connection would be a clean end, it is reset.
   */
  cut(): void;
  /** Resets the connection at once; bytes that the client has not read yet may be lost. */
  reset(): void;
  /**
   * Writes bytes to the client's connection as they are, for the scripted upstream's malformed answers.
   * The connection closes after `end()`, `cut()` or `reset()`.
   */
  writeRaw(bytes: Uint8Array): boolean;

  /** Called once when the answer has been handed over whole, was cut, or the client has gone. */
  onFinished: (() => void) | null;
  /** Bytes of answer written so far, head included. */
  readonly bytesOut: number;
}

/** Counts the connections of a server, and says what becomes of a new one. */
export interface ConnectionDoor {
  /**
   * A connection came up; `leave` follows when it is closed. `refuse`: it gets a 503; `close`: not even that. `idle` are
   * those of the server that wait for a request, and may be closed to make room.
   */
  enter(idle: IdleConnections): "serve" | "refuse" | "close";
  leave(): void;
  /** The number of those that wait for a request has changed. */
  waiting(idle: IdleConnections): void;
  /** The server stops: those that wait are about to be closed, and `waiting` tells no more. */
  forget(idle: IdleConnections): void;
}

/** Memory for request bodies. What is taken is given back when the request is answered. */
export interface BodyBytes {
  /** False: there is none left. */
  take(bytes: number): boolean;
  giveBack(bytes: number): void;
}

/** How one listening server serves; times in milliseconds. */
export interface ServerSettings {
  /** From the connection (or, on a kept connection, the first byte) to the end of the request head. */
  readonly headTimeoutMs: number;
  /** Longest pause while a body is being sent. */
  readonly stallTimeoutMs: number;
  /** How long a client may take nothing of an answer that is ready for it. */
  readonly writeTimeoutMs: number;
  /** How long a connection may wait between two requests. */
  readonly idleTimeoutMs: number;
  /** Largest request head, request line included; default 32 KB. */
  readonly headBytesMax?: number;
  /** Most header fields in a request; default 200. */
  readonly headersMax?: number;
  /** Default: every connection is served. */
  readonly door?: ConnectionDoor;
  /** Default: bodies are held without a bound on all of them. */
  readonly bodyBytes?: BodyBytes;
  readonly onRequest: (exchange: Exchange) => void;
  /**
   * Answers, with this status, what never became a request (400, 408, 431, 505, ...): method, target and headers of
   * such an exchange say nothing. `message` tells people what is wrong.
   */
  readonly onRefusal: (exchange: Exchange, status: number, message: string) => void;
}

/** Where a server listens, and how it serves. */
export interface ServerOptions extends ServerSettings {
  readonly address: string;
  /** 0 = any free port. */
  readonly port: number;
}

export interface HttpServer {
  readonly port: number;
  /** Serves by other settings from the next request of each connection on. The socket is not touched. */
  update(settings: ServerSettings): void;
  /**
   * Stops accepting; requests in progress go on, and their answers say `Connection: close`. A connection at rest may
   * just have a request on its way, so it is closed only after a second of further rest. Settles when the last
   * connection is closed.
   */
  stop(): Promise<void>;
  /** Closes every connection at once. */
  close(): void;
}
