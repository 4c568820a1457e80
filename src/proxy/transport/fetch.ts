import type { ClientPlan } from "../../config/plan.ts";
import type { HeaderList } from "../../http/exchange.ts";
import { ConnectProbe } from "./connect-probe.ts";
import { codeOf, failureOf } from "./fetch-failure.ts";
import type {
  BodySink,
  Call,
  FailureCode,
  ResponseBody,
  Transport,
  TransportFailure,
  UpstreamRequest,
  UpstreamResponse,
  Whole,
} from "./transport.ts";
import { WholeBody } from "./whole-body.ts";

/**
 * The transport on Bun's `fetch`: TLS, outbound proxies, connection pool. What `fetch` does of its own
 * accord is switched off: redirects, decompression, its time limit, the proxy of the environment.
 */
export class FetchTransport implements Transport {
  private readonly session: Bun.FetchSession;
  private readonly probe: ConnectProbe;

  /** `client` sets the idle time, the connect limit and the outbound proxy of this pool. */
  constructor(client: ClientPlan) {
    const idleMs = Math.min(client.keepaliveMs, client.idleTimeoutMs);
    this.session = new Bun.FetchSession({
      keepAlive: idleMs === 0 ? false : { idleTimeout: Math.ceil(idleMs / 1000) },
      proxy: client.proxyUrl === null ? false : { url: client.proxyUrl, respectNoProxy: false },
    });
    this.probe = new ConnectProbe(client.connectTimeoutMs, client.proxyUrl);
  }

  send(request: UpstreamRequest): Call {
    const call = new FetchCall();
    call.response = this.run(request, call);
    return call;
  }

  close(): void {
    this.session.close();
  }

  private async run(request: UpstreamRequest, call: FetchCall): Promise<UpstreamResponse | TransportFailure> {
    const watch = this.probe.watch(request.origin, () => call.stop("connect_timeout"));
    try {
      const response = await this.session.fetch(request.origin + request.target, {
        method: request.method,
        headers: pairs(request.headers),
        body: request.body as Uint8Array<ArrayBuffer> | null,
        redirect: "manual",
        decompress: false,
        timeout: false,
        protocol: "http1.1",
        signal: call.aborter.signal,
      } as BunFetchRequestInit);
      if (!isSound(response)) {
        call.cancel();
        return { failed: "malformed", reach: "head-received" };
      }
      this.probe.reached(request.origin);
      return {
        status: response.status,
        headers: flat(response.headers),
        body: new FetchBody(response, call),
      };
    } catch (error) {
      return failureOf(error, call.stoppedBy);
    } finally {
      watch.cancel();
    }
  }
}

/**
 * False where Bun hands on what another reader could understand otherwise: a status that HTTP does not have (RFC
 * 9110 15), two framings at once, or a coding that is left in the body when its field is gone (RFC 9112 6.3).
 */
function isSound({ status, headers }: Response): boolean {
  if (status < 200 || status > 599) return false;
  const coding = headers.get("transfer-encoding");
  return coding === null || (coding.toLowerCase() === "chunked" && !headers.has("content-length"));
}

/** One `fetch` under way, and the reason for which it was given up, if it was. */
class FetchCall implements Call {
  response!: Promise<UpstreamResponse | TransportFailure>;
  readonly aborter = new AbortController();
  stoppedBy: FailureCode | null = null;

  cancel(): void {
    this.stop("cancelled");
  }

  stop(code: FailureCode): void {
    this.stoppedBy ??= code;
    this.aborter.abort();
  }
}

type Reader = Pick<ReadableStreamDefaultReader<Uint8Array>, "read">;

class FetchBody implements ResponseBody {
  private readonly response: Response;
  private readonly call: FetchCall;
  private sink: BodySink | null = null;
  private resumed: (() => void) | null = null;
  private paused = false;

  constructor(response: Response, call: FetchCall) {
    this.response = response;
    this.call = call;
  }

  whole(bytesMax: number): Whole | Promise<Whole> {
    const announced = this.response.headers.get("content-length");
    if (announced !== null) {
      if (Number(announced) > bytesMax) return "too-large";
      // Half the price of a reader, whose pieces nobody needs here.
      return this.response.bytes().catch((error: unknown) => this.lost(error));
    }
    // Without a bound known beforehand the pieces are counted as they come.
    const whole = new WholeBody(bytesMax, 0);
    this.pump(whole);
    return whole.result();
  }

  pump(sink: BodySink): void {
    const isPumping = this.sink !== null;
    this.sink = sink;
    if (isPumping) return;
    const stream = this.response.body;
    if (stream === null) sink.end();
    else void this.run(stream.getReader() as Reader);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.resumed?.();
    this.resumed = null;
  }

  private async run(reader: Reader): Promise<void> {
    let failure: TransportFailure | null = null;
    for (;;) {
      let piece: { done: boolean; value?: Uint8Array | undefined };
      try {
        piece = await reader.read();
      } catch (error) {
        failure = this.lost(error);
        break;
      }
      if (piece.done || piece.value === undefined) break;
      this.sink!.piece(piece.value, 0, piece.value.length, false);
      if (this.paused) {
        await new Promise<void>((resolve) => {
          this.resumed = resolve;
        });
      }
    }
    if (failure === null) this.sink!.end();
    else this.sink!.fail(failure);
  }

  /** A connection that ends early and one that breaks look alike here. */
  private lost(error: unknown): TransportFailure {
    return { failed: this.call.stoppedBy ?? codeOf(error), reach: "body-begun" };
  }
}

function pairs(headers: HeaderList): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < headers.length; i += 2) list.push([headers[i]!, headers[i + 1]!]);
  return list;
}

function flat(headers: Headers): HeaderList {
  const list: HeaderList = [];
  for (const [name, value] of headers) list.push(name, value);
  return list;
}
