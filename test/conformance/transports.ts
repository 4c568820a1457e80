import type { ClientPlan } from "../../src/config/plan.ts";
import { FetchTransport } from "../../src/proxy/transport/fetch.ts";
import { SocketTransport } from "../../src/proxy/transport/socket.ts";
import type {
  BodySink,
  Call,
  Transport,
  TransportFailure,
  UpstreamRequest,
  UpstreamResponse,
} from "../../src/proxy/transport/transport.ts";
import { ANY_SOCKETS, CLIENT } from "../support/client-plan.ts";
import type { Peer } from "../support/peer-server.ts";

/** Every transport there is: one suite holds for all of them. */
export const TRANSPORTS: [name: "fetch" | "socket", open: (client?: Partial<ClientPlan>) => Transport][] = [
  ["fetch", (client) => new FetchTransport({ ...CLIENT, ...client })],
  ["socket", (client) => new SocketTransport({ ...CLIENT, ...client }, ANY_SOCKETS)],
];

export type RequestParts = Partial<Omit<UpstreamRequest, "body">> & { readonly body?: string | Uint8Array };

/** A request for `/`; a POST where it has a body. */
export function requestTo(origin: string, parts: RequestParts = {}): UpstreamRequest {
  const { body } = parts;
  return {
    method: body === undefined ? "GET" : "POST",
    target: "/",
    headers: [],
    ...parts,
    origin,
    body: typeof body === "string" ? Buffer.from(body, "latin1") : (body ?? null),
  };
}

/** Takes a body and remembers what came, and how it ended. */
export class Recording implements BodySink {
  readonly pieces: Buffer[] = [];
  bytes = 0;
  ending: "end" | TransportFailure | null = null;
  /** Calls after the end, of which there must be none. */
  late = 0;
  onPiece: ((piece: Uint8Array) => void) | null = null;
  readonly done: Promise<void>;
  private resolve!: () => void;

  constructor() {
    this.done = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  get text(): string {
    return Buffer.concat(this.pieces).toString("latin1");
  }

  piece(bytes: Uint8Array, from: number, to: number): void {
    if (this.ending !== null) this.late++;
    this.bytes += to - from;
    const piece = Buffer.copyBytesFrom(bytes, from, to - from);
    this.pieces.push(piece);
    this.onPiece?.(piece);
  }

  end(): void {
    this.finish("end");
  }

  fail(failure: TransportFailure): void {
    this.finish(failure);
  }

  private finish(end: "end" | TransportFailure): void {
    if (this.ending !== null) this.late++;
    this.ending ??= end;
    this.resolve();
  }
}

/** A response with its whole body, or how it failed. */
export interface Asked {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
  readonly end: "end" | TransportFailure;
}

/** The head of the answer; throws where there is none. */
export async function headOf(call: Call): Promise<UpstreamResponse> {
  const response = await call.response;
  if ("failed" in response) throw new Error(`failed: ${JSON.stringify(response)}`);
  return response;
}

/** How a call failed that has no answer; throws where there is one. */
export async function failureOf(call: Call): Promise<TransportFailure> {
  const response = await call.response;
  if (!("failed" in response)) throw new Error(`answered with ${response.status}`);
  return response;
}

/** Sends a request and takes all of the answer as it comes. */
export async function ask(transport: Transport, request: UpstreamRequest): Promise<Asked> {
  const response = await transport.send(request).response;
  if ("failed" in response) return { status: 0, headers: [], body: "", end: response };
  const recording = new Recording();
  response.body.pump(recording);
  await recording.done;
  const { status, headers } = response;
  return { status, headers, body: recording.text, end: recording.ending! };
}

/** Handlers of a peer server that answers whole requests: those whose head and announced body are in. */
export function onRequests(answer: (peer: Peer, request: string) => void): { onData(peer: Peer): void } {
  const served = new WeakMap<Peer, number>();
  return {
    onData(peer) {
      for (;;) {
        const from = served.get(peer) ?? 0;
        const end = peer.received.indexOf("\r\n\r\n", from);
        if (end < 0) return;
        const length = /\r\ncontent-length: (\d+)/i.exec(peer.received.slice(from, end))?.[1] ?? 0;
        const to = end + 4 + Number(length);
        if (peer.received.length < to) return;
        served.set(peer, to);
        answer(peer, peer.received.slice(from, to));
      }
    },
  };
}
