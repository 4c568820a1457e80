import { cut } from "../http/cut.ts";
import type { BodySink, PumpedBody, TransportFailure } from "./transport/transport.ts";

/**
 * A body that has begun before anything goes to the client: one that breaks off between its head and its first byte has
 * cost nothing yet, and another upstream can take over. Then it is pumped like any other.
 */
export class BegunBody implements PumpedBody, BodySink {
  private readonly body: PumpedBody;
  private readonly pieces: Uint8Array[] = [];
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
    for (const piece of this.pieces.splice(0)) sink.piece(piece, 0, piece.length, false);
    if (this.ended === null) this.body.pump(sink);
    else if (this.ended === "end") sink.end();
    else sink.fail(this.ended);
  }

  pause(): void {
    this.body.pause();
  }

  resume(): void {
    this.body.resume();
  }

  // ---- what the transport delivers

  piece(bytes: Uint8Array, from: number, to: number): void {
    // The sink comes in this turn of the event loop, so hardly more than one is kept.
    this.pieces.push(cut(bytes, from, to));
    this.begin.resolve(null);
  }

  end(): void {
    this.ended = "end";
    this.begin.resolve(null);
  }

  fail(failure: TransportFailure): void {
    this.ended = failure;
    this.begin.resolve(this.pieces.length === 0 ? failure : null);
  }
}
