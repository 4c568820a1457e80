import type { HeaderList } from "../http/exchange.ts";

/** A request that a scripted upstream received. */
export interface RecordedRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderList;
  /** Empty until the body has been read. */
  body: Uint8Array;
  /** `finished`: answered as far as its script goes. `aborted`: the peer went away first. */
  outcome: "in-flight" | "finished" | "aborted";
}

/** The last requests, bounded by their number and by the bytes of their bodies. */
export class RequestLog {
  private readonly requestsMax: number;
  private readonly bytesMax: number;
  /** In the order of arrival. */
  private readonly requests = new Set<RecordedRequest>();
  private bodyBytes = 0;

  constructor(requestsMax: number, bytesMax: number) {
    this.requestsMax = requestsMax;
    this.bytesMax = bytesMax;
  }

  add(request: RecordedRequest): void {
    if (this.requestsMax === 0) return;
    this.requests.add(request);
    if (this.requests.size <= this.requestsMax) return;
    for (const oldest of this.requests) {
      this.requests.delete(oldest);
      this.bodyBytes -= oldest.body.length;
      break;
    }
  }

  /** Puts in the body of a request. In the log the oldest bodies give way to it, and are empty from then on. */
  keepBody(request: RecordedRequest, body: Uint8Array): void {
    // A small view must not hold a large buffer of the socket.
    request.body = body.length * 2 < body.buffer.byteLength ? Buffer.from(body) : body;
    if (!this.requests.has(request)) return;
    this.bodyBytes += body.length;
    if (this.bodyBytes <= this.bytesMax) return;
    for (const old of this.requests) {
      if (old === request || this.bodyBytes <= this.bytesMax) continue;
      this.bodyBytes -= old.body.length;
      old.body = EMPTY;
    }
  }

  /** Oldest first. */
  list(): RecordedRequest[] {
    return [...this.requests];
  }

  clear(): void {
    this.requests.clear();
    this.bodyBytes = 0;
  }
}

const EMPTY = new Uint8Array(0);

/** The first value of a field, null where there is none. `name` is in lower case. */
export function fieldOf(headers: HeaderList, name: string): string | null {
  for (let at = 0; at < headers.length; at += 2) {
    const field = headers[at] as string;
    if (field.length === name.length && field.toLowerCase() === name) return headers[at + 1] as string;
  }
  return null;
}
