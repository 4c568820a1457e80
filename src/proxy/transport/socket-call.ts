import { ResponseBodyReader } from "../../http/response-body-reader.ts";
import type { ResponseHead } from "../../http/response-head-reader.ts";
import { Deadline, deadlineQueue } from "../../shared/deadlines.ts";
import { packRequestHead } from "./request-head.ts";
import type {
  BodySink,
  Call,
  Reach,
  ResponseBody,
  TransportFailure,
  UpstreamRequest,
  UpstreamResponse,
  Whole,
} from "./transport.ts";
import type { UpstreamConnection } from "./upstream-connection.ts";
import type { UpstreamPool } from "./upstream-pool.ts";
import { WholeBody } from "./whole-body.ts";

/** How long before its peer would close it a connection is no longer used, where the peer says when. */
const IDLE_MARGIN_MS = 1000;

/**
 * One request on a connection of a pool.
 *
 * `waiting` (for a connection) -> `asking` (the request is out, the head is not in) -> `held` (nobody has asked for
 * the body yet) -> `pumping` -> `over`.
 */
export class SocketCall implements Call, ResponseBody {
  // What every piece of a stream touches stands first, so that it lies in as few lines of the cache as may be.
  private state: "waiting" | "asking" | "held" | "pumping" | "over" = "waiting";
  private body!: ResponseBodyReader;
  private sink!: BodySink;
  private hasPayload = false;
  readonly response: Promise<UpstreamResponse | TransportFailure>;
  private readonly request: UpstreamRequest;
  private readonly pool: UpstreamPool;
  private settle!: (result: UpstreamResponse | TransportFailure) => void;
  private connection: UpstreamConnection | null = null;
  private connectLimit: Deadline | null = null;
  /** A stale connection was found, and another one is tried: only once. */
  private isSecondTry = false;
  private head!: ResponseHead;
  /** While `held`: what came behind the head, and how the connection ended. */
  private early: Buffer | null = null;
  private ended: "no" | "in-order" | "broken" = "no";
  private failure: TransportFailure | null = null;

  constructor(request: UpstreamRequest, pool: UpstreamPool) {
    this.response = new Promise((resolve) => {
      this.settle = resolve;
    });
    this.request = request;
    this.pool = pool;
  }

  /** Looks for a connection and sends the request. */
  start(): void {
    this.pool.serve(this);
  }

  /** It waits for a connection from now on, and not for ever. */
  limitWaiting(): void {
    this.connectLimit ??= new Deadline(() => {
      this.pool.leave(this);
      this.fail({ failed: "connect_timeout", reach: "not-connected" });
    });
    this.connectLimit.arm(deadlineQueue(this.pool.connectLimitMs));
  }

  /** A connection is there: sends the request on it. */
  begin(connection: UpstreamConnection): void {
    const headEnd = packRequestHead(this.request, this.pool.host, this.pool.keepsConnections);
    if (headEnd < 0) {
      // Nothing has gone out on it: it serves the next one.
      connection.finish(Number.POSITIVE_INFINITY);
      this.fail({ failed: "malformed", reach: "nothing-sent" });
      return;
    }
    this.connectLimit?.cancel();
    this.state = "asking";
    this.connection = connection;
    connection.send(headEnd, this.request.body);
  }

  /** Ends it before its time. */
  fail(failure: TransportFailure): void {
    this.connectLimit?.cancel();
    const before = this.state;
    this.state = "over";
    this.connection = null;
    if (before === "waiting" || before === "asking") this.settle(failure);
    else if (before === "held") this.failure = failure;
    else if (before === "pumping") this.sink.fail(failure);
  }

  cancel(): void {
    if (this.state === "over") return;
    if (this.state === "waiting") this.pool.leave(this);
    this.break("cancelled");
  }

  // ---- what the connection tells

  onData(chunk: Buffer): void {
    switch (this.state) {
      case "asking":
        this.readHead(this.connection!, chunk);
        break;
      case "held":
        // Mostly the body is asked for in the same turn; where it is not, one read is held, and the rest waits.
        this.early = this.early === null ? chunk : Buffer.concat([this.early, chunk]);
        this.connection?.pause();
        break;
      case "pumping":
        this.take(chunk);
        break;
    }
  }

  /** The connection is closed. `hasSent`: anything of the request has gone out. */
  onClose(isReset: boolean, hasSent: boolean): void {
    const connection = this.connection!;
    switch (this.state) {
      case "asking":
        if (!hasSent && connection.isReused && !this.isSecondTry) this.tryAgain();
        else this.fail({ failed: "lost", reach: hasSent ? "sent" : "nothing-sent" });
        break;
      case "held":
        this.ended = isReset ? "broken" : "in-order";
        break;
      case "pumping":
        this.endInput(isReset);
        break;
    }
  }

  // ---- the body

  whole(bytesMax: number): Whole | Promise<Whole> {
    const length = this.body.length;
    if (length !== null && length > bytesMax) return "too-large";
    const whole = new WholeBody(bytesMax, length ?? 0);
    this.pump(whole);
    return whole.result();
  }

  pump(sink: BodySink): void {
    this.sink = sink;
    if (this.state === "pumping") return;
    if (this.failure !== null) {
      sink.fail(this.failure);
      return;
    }
    this.state = "pumping";
    const early = this.early;
    this.early = null;
    if (early !== null) this.connection!.resume();
    if (early !== null || this.body.state === "complete") this.take(early ?? EMPTY);
    if (this.state === "pumping" && this.ended !== "no") this.endInput(this.ended === "broken");
  }

  pause(): void {
    this.connection?.pause();
  }

  resume(): void {
    this.connection?.resume();
  }

  // ---- inside

  /** The connection was stale and nothing has gone out on it: the request goes to a new one. */
  private tryAgain(): void {
    this.isSecondTry = true;
    this.state = "waiting";
    this.connection = null;
    this.pool.wait(this);
  }

  private readHead(connection: UpstreamConnection, chunk: Buffer): void {
    const head = connection.heads.read(chunk, this.request.method === "HEAD");
    if (head === "more") return;
    if (head === "malformed") {
      this.break("malformed");
      return;
    }
    this.head = head;
    this.body = new ResponseBodyReader(head.framing);
    this.early = connection.heads.rest;
    this.state = "held";
    this.settle({ status: head.status, headers: head.headers, body: this });
  }

  private take(chunk: Buffer): void {
    const { body } = this;
    body.read(chunk);
    if (body.from < body.to) {
      this.hasPayload = true;
      this.sink.piece(chunk, body.from, body.to, body.isOneChunk);
      // Given up by the one who took it.
      if (this.state !== "pumping") return;
    }
    if (body.state === "complete") this.finish();
    else if (body.state === "malformed") this.break("malformed");
  }

  private endInput(isReset: boolean): void {
    if (!isReset) this.body.endInput();
    if (this.body.state === "complete") this.finish();
    else this.break("lost");
  }

  private finish(): void {
    const connection = this.connection!;
    this.state = "over";
    this.connection = null;
    connection.finish(this.idleMs());
    this.sink.end();
  }

  /** For how long the connection may rest: as long as the peer says, less a margin; 0 = it is done with. */
  private idleMs(): number {
    if (!this.pool.keepsConnections || !this.head.keepAlive || this.body.overrun) return 0;
    const saidMs = this.head.keepAliveMs;
    return saidMs === null ? Number.POSITIVE_INFINITY : Math.max(saidMs / 2, saidMs - IDLE_MARGIN_MS);
  }

  /** Ends it, and its connection with it. */
  private break(failed: "cancelled" | "malformed" | "lost"): void {
    const connection = this.connection;
    const reach = this.reach();
    this.connection = null;
    connection?.destroy();
    this.fail({ failed, reach });
  }

  private reach(): Reach {
    if (this.state === "waiting") return "not-connected";
    if (this.state === "asking") return "sent";
    return this.hasPayload ? "body-begun" : "head-received";
  }
}

const EMPTY = Buffer.alloc(0);
