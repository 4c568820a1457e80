import type { HeaderList } from "../../http/exchange.ts";

/**
 * The boundary between the proxy and the ways to reach an upstream. Whoever retries, breaks, relays or
 * measures speaks to this and knows no transport.
 */
export interface Transport {
  /** Begins one request. It never throws: what goes wrong is a `TransportFailure`. */
  send(request: UpstreamRequest): Call;
  /** Lets go of idle connections. Requests in progress finish. */
  close(): void;
}

/** A request as it goes out: everything decided, nothing left to add but what frames the message. */
export interface UpstreamRequest {
  readonly method: string;
  /** `http://host:port` or `https://host:port`. */
  readonly origin: string;
  /** Path and query. */
  readonly target: string;
  /** Without Content-Length and hop-by-hop fields; with `Host` where it differs from the origin's. */
  readonly headers: HeaderList;
  /** Null = no body. */
  readonly body: Uint8Array | null;
}

/** One request under way. */
export interface Call {
  /** The response as soon as its head is in. */
  readonly response: Promise<UpstreamResponse | TransportFailure>;
  /** Gives up, in any phase; the upstream sees its connection close. Harmless after the end. */
  cancel(): void;
}

export interface UpstreamResponse {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: ResponseBody;
}

/** A body, still encoded, that is delivered in the pieces in which it arrives. */
export interface PumpedBody {
  /** Starts the delivery to `sink`, or goes on with it to another. Delivery ends with exactly one `end` or `fail`. */
  pump(sink: BodySink): void;
  /** Holds the delivery back, and in time the upstream with it; one more piece may still come. */
  pause(): void;
  resume(): void;
}

/** The body of a response: either pumped or read whole. */
export interface ResponseBody extends PumpedBody {
  /**
   * Reads all of it, which may be at most `bytesMax` bytes. Gives no promise where all of it is there already:
   * a small answer mostly comes in one piece with its head.
   */
  whole(bytesMax: number): Whole | Promise<Whole>;
}

/**
 * A body read to its end, why it could not be, or `too-large`: the rest is then still coming, and the caller
 * cancels the call.
 */
export type Whole = Uint8Array | TransportFailure | "too-large";

/** Who takes a body as it comes. */
export interface BodySink {
  /**
   * All payload of one read: the bytes from `from` to before `to`. They are the sink's from now on. `isOneChunk`: see
   * `Exchange.write`.
   */
  piece(bytes: Uint8Array, from: number, to: number, isOneChunk: boolean): void;
  end(): void;
  fail(failure: TransportFailure): void;
}

/** How far a request got before it failed: what decides whether another try could do the work twice. */
export type Reach = "not-connected" | "nothing-sent" | "sent" | "head-received" | "body-begun";

/** What went wrong, in a word for metrics and logs. */
export type FailureCode =
  | "dns"
  | "refused"
  | "connect"
  | "connect_timeout"
  | "tls"
  | "proxy"
  /** This machine's doing: the process, or the system, may not open another file. */
  | "no_files"
  | "timeout"
  | "lost"
  | "malformed"
  | "cancelled";

export interface TransportFailure {
  readonly failed: FailureCode;
  readonly reach: Reach;
}
