/**
 * What a scripted upstream does with one request. A client asks for it in the header `x-demo-script`, a test
 * through `upstream.script`. Items are separated by `;`, spaces around them are free, a value that holds a
 * `;` stands in double quotes (`\"` and `\\` inside them):
 *
 *     x-demo-script: status=503; retry-after=2
 *     x-demo-script: ttft=300; tokens=50; interval=20; reset=mid-stream
 *     x-demo-script: header="Set-Cookie: a=1; Path=/"; header="Set-Cookie: b=2"
 *
 * Whom it concerns
 *     upstream=NAME        only the upstream of that name obeys, the others answer as usual
 *     chance=P             obeyed with this probability, 0-1
 *
 * The head
 *     status=N             200-599; from 400 on the body is an error in the shape of the API asked
 *     error=CODE           type and code in that error body, e.g. insufficient_quota
 *     retry-after=TEXT     the field Retry-After: seconds or a date
 *     header=NAME:VALUE    one more field, in place of the answer's own of that name; may be repeated
 *     interim=N            an interim response first, 100-199 (not 101)
 *
 * Time, in milliseconds
 *     delay=MS             before the head
 *     ttft=MS              between the head and the first token
 *     interval=MS          between tokens
 *     ping-interval=MS     comments or pings of the API while the first token is not there
 *     drip=N               the body in pieces of N bytes
 *     drip-interval=MS     between those pieces (default 10; with 0 the peer may well read several at once)
 *
 * The body
 *     tokens=N             length of the generated text
 *     token-bytes=N        bytes of text in each token
 *     tool                 a call of the first tool of the request
 *     body-bytes=N         N bytes of a fixed pattern instead of an answer (see `bodyPattern`)
 *     encoding=NAME        gzip, br or zstd; a stream is flushed after each event
 *     chunked, length, close    framing: chunks, Content-Length, or the end of the connection
 *     no-done              leaves out the terminal event ([DONE], message_stop, "done":true, ...)
 *     error-in-stream[=N]  an error event after N tokens (default: half), then the end; in an answer that is
 *                          not streamed: the error as the body of a 200
 *     done                 sends the terminal event even after that error, as some servers do
 *
 * Breaks, of which a script may have one
 *     reset=POINT          cuts the connection
 *     fin=POINT            ends it in an orderly way, without a word
 *     hang=POINT           says nothing more and keeps it open
 *     garbage=head         something that is not HTTP
 *     garbage=body         a chunk that is no chunk, half way
 *     garbage=json         well framed, but not the JSON or the event that it should be
 *   POINT is `accept` (the body of the request is left unread), `before-head`, `in-head`, `after-head`,
 *   `mid-stream` (half of the tokens, or of the body), a number of body bytes (as on the wire, chunk framing
 *   not counted), `end` (all of the body, but not the sign that ends it), or `idle` (the answer is complete,
 *   and the connection seems to be kept)
 *
 * Other
 *     early                answers without reading the body of the request
 *     raw=BASE64           these bytes are the whole response, head and all; `delay`, `drip` and a break at a
 *                          number of bytes still apply, other items do not
 */
export interface Script {
  readonly upstream?: string;
  readonly chance?: number;

  readonly status?: number;
  readonly error?: string;
  readonly retryAfter?: string;
  /** Name, value, name, value, ... */
  readonly headers?: readonly string[];
  readonly interim?: number;

  readonly delayMs?: number;
  readonly firstTokenMs?: number;
  readonly tokenIntervalMs?: number;
  readonly pingIntervalMs?: number;
  readonly dripBytes?: number;
  readonly dripIntervalMs?: number;

  readonly tokens?: number;
  readonly tokenBytes?: number;
  readonly tool?: boolean;
  readonly bodyBytes?: number;
  readonly encoding?: Encoding;
  readonly framing?: Framing;
  readonly noDone?: boolean;
  /** Tokens before the error; "half" where the script gives no number. */
  readonly errorInStream?: number | "half";
  readonly done?: boolean;

  readonly break?: Break;
  readonly garbageJson?: boolean;

  readonly early?: boolean;
  readonly raw?: Uint8Array;
}

export type Encoding = "gzip" | "br" | "zstd";

export type Framing = "chunked" | "length" | "close";

/** Where in an answer a break happens; a number counts bytes of the body. */
export type Point =
  "accept" | "before-head" | "in-head" | "after-head" | "mid-stream" | "end" | "idle" | number;

export interface Break {
  readonly action: "reset" | "fin" | "hang" | "garbage";
  readonly at: Point;
}

/** Name of the request header that carries a script. */
export const SCRIPT_HEADER = "x-demo-script";

/** The script of a request that has none. */
export const NO_SCRIPT: Script = {};
