import type { Socket } from "bun";

import { type Answer, readAnswers } from "./answers.ts";

const WAIT_MS = 4000;

/** A client's connection on the loopback address that speaks bytes, not HTTP: it sends whatever a test wants to send. */
export class RawClient {
  /** How the peer ended it; null while it has not. */
  end: "fin" | "reset" | null = null;
  /** Bytes that came. */
  received = 0;
  private socket!: Socket;
  private readonly chunks: Buffer[] = [];
  private unsent: Buffer[] = [];
  private waiting: (() => void)[] = [];

  static async connect(port: number): Promise<RawClient> {
    const client = new RawClient();
    client.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      allowHalfOpen: true,
      socket: {
        data: (_, chunk) => client.changed(() => client.take(chunk)),
        drain: () => client.flush(),
        end: () => client.changed(() => (client.end ??= "fin")),
        close: () => client.changed(() => (client.end ??= "reset")),
        error: () => client.changed(() => (client.end ??= "reset")),
      },
    });
    client.socket.setNoDelay(true);
    return client;
  }

  /** Connects and sends. */
  static async send(port: number, bytes: string | Uint8Array): Promise<RawClient> {
    const client = await RawClient.connect(port);
    client.write(bytes);
    return client;
  }

  /** Sends text as one byte per character. What the socket does not take is kept and follows. */
  write(bytes: string | Uint8Array): void {
    this.unsent.push(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : Buffer.from(bytes));
    this.flush();
  }

  /** Closes our side; the peer may go on. */
  finish(): void {
    this.socket.shutdown();
  }

  /** Stops reading. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Leaves with a FIN. */
  close(): void {
    this.socket.end();
  }

  /** Leaves with a RST. */
  reset(): void {
    this.socket.terminate();
  }

  /** Bytes that the socket did not take yet. */
  get unsentBytes(): number {
    return this.unsent.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  /** What came, one character per byte. */
  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1");
  }

  /** The answers so far; throws on anything that is not HTTP. `methods`: those of the requests, where not all are GET or POST. */
  answers(methods: readonly string[] = []): Answer[] {
    return readAnswers(this.text, methods, this.end !== null);
  }

  /**
   * Resolves when the condition holds or the peer has ended the connection; looked at whenever something comes.
   * Throws after a time in vain, before the time of a test is up: with that, its child processes would be killed.
   */
  async until(condition: (client: RawClient) => boolean): Promise<this> {
    const limit = Promise.withResolvers<never>();
    const timer = setTimeout(() => limit.reject(this.inVain()), WAIT_MS);
    try {
      while (this.end === null && !condition(this)) {
        const change = new Promise<void>((resolve) => this.waiting.push(resolve));
        await Promise.race([change, limit.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
    return this;
  }

  /** Waits for that many whole final answers, or the end. */
  async untilAnswers(count: number, methods: readonly string[] = []): Promise<Answer[]> {
    await this.until(() => this.answers(methods).filter((answer) => answer.complete).length >= count);
    return this.answers(methods);
  }

  /** Waits for the peer to end the connection, then leaves too. */
  async untilEnd(): Promise<this> {
    await this.until(() => false);
    this.close();
    return this;
  }

  private inVain(): Error {
    return new Error(`waited ${WAIT_MS} ms in vain; what came: ${JSON.stringify(this.text.slice(0, 400))}`);
  }

  private take(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.received += chunk.length;
  }

  private flush(): void {
    while (this.unsent.length > 0) {
      const bytes = this.unsent[0]!;
      const taken = this.socket.write(bytes);
      if (taken < 0) {
        this.unsent = [];
        return;
      }
      if (taken < bytes.length) {
        this.unsent[0] = bytes.subarray(taken);
        return;
      }
      this.unsent.shift();
    }
  }

  private changed(change: () => void): void {
    change();
    const waiting = this.waiting;
    this.waiting = [];
    for (const wake of waiting) wake();
  }
}
