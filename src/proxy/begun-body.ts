import type { BodySink, PumpedBody, TransportFailure } from "./transport/transport.ts";

/**
 * A body that has begun before anything goes to the client: one that breaks off between its head and its first byte has
 * cost nothing yet, and another upstream can take over. Then it is pumped like any other.
 */
export class BegunBody implements PumpedBody, BodySink {
  private readonly body: PumpedBody;
  private readonly pieces: Uint8Array[] = [];
  private sink: BodySink | null = null;
  /** How it ended before it had a sink. */
  private ended: "end" | TransportFailure | null = null;
  private readonly begin = Promise.withResolvers<TransportFailure | null>();

  private constructor(body: PumpedBody) {
    this.body = body;
    body.pump(this);
  }

  /** Waits for the first piece or a clean end, and gives the body; or gives how it failed before. */
  static async of(body: PumpedBody): Promise<BegunBody | TransportFailure> {
    const begun = new BegunBody(body);
    return (await begun.begin.promise) ?? begun;
  }

  pump(sink: BodySink): void {
    this.sink = sink;
    for (const piece of this.pieces.splice(0)) sink.chunk(piece);
    if (this.ended === "end") sink.end();
    else if (this.ended !== null) sink.fail(this.ended);
  }

  pause(): void {
    this.body.pause();
  }

  resume(): void {
    this.body.resume();
  }

  // ---- what the transport delivers

  chunk(bytes: Uint8Array): void {
    if (this.sink !== null) return this.sink.chunk(bytes);
    // The sink comes in this turn of the event loop, so hardly more than one is kept.
    this.pieces.push(bytes);
    this.begin.resolve(null);
  }

  end(): void {
    if (this.sink !== null) return this.sink.end();
    this.ended = "end";
    this.begin.resolve(null);
  }

  fail(failure: TransportFailure): void {
    if (this.sink !== null) return this.sink.fail(failure);
    this.ended = failure;
    this.begin.resolve(this.pieces.length === 0 ? failure : null);
  }
}
