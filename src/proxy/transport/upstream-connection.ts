import { packBody, packet } from "../../http/packet.ts";
import { ResponseHeadReader } from "../../http/response-head-reader.ts";
import { Deadline } from "../../shared/deadlines.ts";
import type { SocketCall } from "./socket-call.ts";
import type { OwnedSocket, SocketOwner } from "./socket-owner.ts";
import type { UpstreamPool } from "./upstream-pool.ts";

/** One connection to an upstream. It serves one call at a time, and between two of them rests in its pool. */
export class UpstreamConnection implements SocketOwner {
  // What every piece of a stream touches stands first, so that it lies in as few lines of the cache as may be.
  private call: SocketCall | null = null;
  /** It has served a call before, so its peer may be about to close it. */
  isReused = false;
  readonly heads = new ResponseHeadReader();
  readonly idleDeadline: Deadline;
  private readonly socket: OwnedSocket;
  private readonly pool: UpstreamPool;
  /** What the socket has not taken yet of the request. */
  private unsent: Uint8Array[] = [];
  private hasSent = false;
  /** A write failed: the connection is broken, even if its end reads like an orderly one. */
  private isBroken = false;
  private isClosed = false;
  private isPaused = false;

  constructor(socket: OwnedSocket, pool: UpstreamPool) {
    this.socket = socket;
    this.pool = pool;
    this.idleDeadline = new Deadline(() => {
      pool.forget(this);
      this.close();
    });
    socket.data = this;
    socket.setNoDelay(true);
    if (pool.keepAliveMs > 0) socket.setKeepAlive(true, pool.keepAliveMs);
  }

  /** Serves a call, from now to its end. */
  begin(call: SocketCall): void {
    this.idleDeadline.cancel();
    this.call = call;
    this.hasSent = false;
    this.heads.reset();
    call.begin(this);
  }

  /** Sends the request of the present call, whose head stands in the packet, up to before `headEnd`. */
  send(headEnd: number, body: Uint8Array | null): void {
    const length = packBody(headEnd, body);
    this.writePacket(length < 0 ? headEnd : length);
    if (length < 0) this.write(body!);
  }

  /** The response ended cleanly. `idleMs`: how long the connection may be kept for another call, 0 = not. */
  finish(idleMs: number): void {
    this.call = null;
    this.isReused = true;
    if (this.isPaused) this.resume();
    // An answer to a part of the request says nothing of how the peer will read the rest.
    if (idleMs > 0 && this.unsent.length === 0 && !this.isClosed) this.pool.release(this, idleMs);
    else this.close();
  }

  pause(): void {
    if (this.isPaused || this.isClosed) return;
    this.isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.isPaused || this.isClosed) return;
    this.isPaused = false;
    this.socket.resume();
  }

  /** Closes it in order. */
  close(): void {
    this.dispose();
    this.socket.end();
  }

  /** Breaks it, so that the peer learns at once that nobody listens: some read on after an orderly end. */
  destroy(): void {
    this.dispose();
    this.socket.terminate();
  }

  onData(chunk: Buffer): void {
    if (this.call !== null) {
      this.call.onData(chunk);
      return;
    }
    // Nothing was asked for: whatever it is, the next response would not be one to our request.
    if (!this.isClosed) this.pool.forget(this);
    this.destroy();
  }

  onDrain(): void {
    const kept = this.unsent;
    if (kept.length === 0) return;
    this.unsent = [];
    for (const bytes of kept) this.write(bytes);
  }

  onClose(isReset: boolean): void {
    if (this.isClosed) return;
    const call = this.call;
    this.dispose();
    if (call === null) this.pool.forget(this);
    else call.onClose(isReset || this.isBroken, this.hasSent);
  }

  private writePacket(length: number): void {
    const taken = this.socket.write(packet.bytes, 0, length);
    if (taken < length)
      this.keep(Buffer.copyBytesFrom(packet.bytes, Math.max(0, taken), length - Math.max(0, taken)));
    this.note(taken);
  }

  private write(bytes: Uint8Array): void {
    if (this.unsent.length > 0) {
      this.unsent.push(bytes);
      return;
    }
    const taken = this.socket.write(bytes);
    if (taken < bytes.length) this.keep(taken > 0 ? bytes.subarray(taken) : bytes);
    this.note(taken);
  }

  /** Keeps what the socket did not take. Of a broken connection the end is still to come, after what its peer may have said. */
  private keep(bytes: Uint8Array): void {
    this.unsent.push(bytes);
  }

  /** `taken`: what a write gave, bytes or -1. */
  private note(taken: number): void {
    if (taken > 0) this.hasSent = true;
    else if (taken < 0) this.isBroken = true;
  }

  private dispose(): void {
    this.isClosed = true;
    this.call = null;
    this.unsent = [];
    this.idleDeadline.cancel();
  }
}
