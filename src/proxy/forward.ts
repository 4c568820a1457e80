import type { ClientPlan, UpstreamPlan } from "../config/plan.ts";
import type { HeaderList } from "../http/exchange.ts";
import { mediaTypeOf } from "../llm/framing.ts";
import { headerValue, upstreamHeaders, withoutOwnQuery } from "./headers.ts";
import type { ProxyRequest } from "./request.ts";
import { upstreamTarget } from "./target.ts";
import { withCause } from "./transport/open-files.ts";
import type {
  Call,
  PumpedBody,
  Transport,
  TransportFailure,
  UpstreamResponse,
  Whole,
} from "./transport/transport.ts";

/** A response of which all is in memory: it can be held back, sent, or dropped for a better one. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly bytes: Uint8Array;
  /** As in `OpenAnswer`. */
  readonly streamed: false;
}

/** A response whose body is still to come. */
export interface OpenAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  /** Announced length of the body; null = not announced. */
  readonly length: number | null;
  /** It is a stream of events or media: a long one is no late one. */
  readonly streamed: boolean;
  readonly body: PumpedBody;
  readonly call: Call;
}

export type Forwarded = WholeAnswer | OpenAnswer | TransportFailure;

/** Bodies of an announced length up to this are read before anything goes to the client: they can still be retried. */
const SMALL_BYTES_MAX = 65_536;
/** Bound for an answer that must be read whole because it may be retried. */
const HELD_BYTES_MAX = 1_048_576;
/** Bound for an answer of a group with `stream: false`. */
const UNSTREAMED_BYTES_MAX = 134_217_728;

/** Sends a request to an upstream; `receive` makes an answer of what comes back. */
export function send(
  request: ProxyRequest,
  upstream: UpstreamPlan,
  { agent }: ClientPlan,
  transport: Transport,
): Call {
  const { exchange, control } = request;
  const call = transport.send({
    method: exchange.method,
    origin: upstream.origin,
    target: upstreamTarget(upstream, exchange.target),
    headers: upstreamHeaders(exchange.headers, upstream, agent, request.id, request.forwarded),
    body: request.body.length === 0 ? null : request.body,
  });
  control.onGivenUp = () => call.cancel();
  // Given up while nothing listened, between two attempts.
  if (control.givenUp !== null) call.cancel();
  return call;
}

/**
 * Takes a response when its head is in, and all of its body where it is to be read whole. `hold`: tells by the status whether
 * it must be, as the caller may want to try again rather than relay it. Gives no promise where all is there already:
 * a small answer mostly comes in one piece.
 */
export function receive(
  request: ProxyRequest,
  upstream: UpstreamPlan,
  client: ClientPlan,
  call: Call,
  response: UpstreamResponse | TransportFailure,
  hold: (status: number) => boolean,
): Forwarded | Promise<Forwarded> {
  if ("failed" in response) return withCause(response);
  const { status, body } = response;
  const headers = withoutOwnQuery(response.headers, upstream);
  const bodiless = request.exchange.method === "HEAD" || status === 204 || status === 304;
  const length = announcedLength(headers);
  const streamed = isStreamed(headers);
  const bytesMax = wholeBytesMax(client, hold(status), bodiless, streamed, length);
  if (bytesMax === null) return { status, headers, length, streamed, body, call };
  const whole = body.whole(bytesMax);
  const answerOf = (bytes: Whole): Forwarded => {
    if (bytes instanceof Uint8Array) return { status, headers, bytes, streamed: false };
    if (bytes !== "too-large") return bytes;
    call.cancel();
    return { failed: "malformed", reach: "body-begun" };
  };
  return whole instanceof Promise ? whole.then(answerOf) : answerOf(whole);
}

/** How large an answer may be that is to be read whole, or null when it is to be relayed as it comes. */
function wholeBytesMax(
  client: ClientPlan,
  held: boolean,
  bodiless: boolean,
  streamed: boolean,
  length: number | null,
): number | null {
  // Relayed, so that a HEAD's Content-Length reaches the client.
  if (bodiless) return null;
  if (!client.stream) return UNSTREAMED_BYTES_MAX;
  if (held && (length === null || length <= HELD_BYTES_MAX)) return HELD_BYTES_MAX;
  return !streamed && length !== null && length <= SMALL_BYTES_MAX ? length : null;
}

function announcedLength(headers: HeaderList): number | null {
  const value = headerValue(headers, "content-length");
  return value !== null && /^\d{1,15}$/.test(value) ? Number(value) : null;
}

/** Told by the response, as requests mislead; of the media type only, as parameters vary. JSON comes in one piece. */
function isStreamed(headers: HeaderList): boolean {
  const type = headerValue(headers, "content-type");
  if (type === null) return false;
  const media = mediaTypeOf(type);
  return !(
    media === "application/json" ||
    media.endsWith("+json") ||
    media === "text/plain" ||
    media === "text/html"
  );
}
