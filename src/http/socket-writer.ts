import type { Socket } from "bun";

import { packet } from "./packet.ts";

/** Writes to a socket, and keeps in order what it does not take at once. */
export class SocketWriter {
  /** The socket takes nothing any longer, as the peer is gone. */
  gone = false;
  private readonly socket: Socket<unknown>;
  /** What the socket has not taken; null = nothing. */
  private backlog: Uint8Array[] | null = null;

  constructor(socket: Socket<unknown>) {
    this.socket = socket;
  }

  /** Nothing is kept. */
  isDrained(): boolean {
    return this.backlog === null;
  }

  /** Writes, or keeps. False: something is kept, and the writer shall rest until the socket drains. */
  send(bytes: Uint8Array): boolean {
    if (this.backlog !== null) {
      this.backlog.push(bytes);
      return false;
    }
    const taken = this.socket.write(bytes);
    if (taken >= bytes.length) return true;
    // A negative count says that the connection is gone. Its close event follows, but not where the socket is paused.
    this.gone = taken < 0;
    this.backlog = [taken > 0 ? bytes.subarray(taken) : bytes];
    return false;
  }

  /** Writes, or keeps, the first `length` bytes of the packet. */
  sendPacket(length: number): boolean {
    const taken = this.backlog === null ? this.socket.write(packet.bytes, 0, length) : 0;
    if (taken >= length) return true;
    this.gone ||= taken < 0;
    (this.backlog ??= []).push(Buffer.from(packet.bytes.subarray(Math.max(0, taken), length)));
    return false;
  }

  /** The socket takes more. True once nothing is kept any longer. */
  drain(): boolean {
    const kept = this.backlog ?? [];
    this.backlog = null;
    // What is not taken, and what comes behind it, is kept again.
    for (const bytes of kept) this.send(bytes);
    return this.backlog === null;
  }

  /** Forgets what is kept. */
  clear(): void {
    this.backlog = null;
  }
}
