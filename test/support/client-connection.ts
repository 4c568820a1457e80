import type { Socket } from "bun";

import { SocketWriter } from "../../src/http/socket-writer.ts";
import { type RawResponse, ResponseReader } from "./response-reader.ts";

export type Ended = "fin" | "reset";

/** A client's connection to the proxy, byte for byte: sends anything, reads responses exactly. */
export class ClientConnection {
  /** How the peer ended it; null while it is open. */
  ended: Ended | null = null;
  /** What arrived and was not read as a response yet. */
  private input: Buffer[] = [];
  private waiting: (() => void)[] = [];
  private socket!: Socket;
  private writer!: SocketWriter;

  static async open(port: number): Promise<ClientConnection> {
    const connection = new ClientConnection();
    connection.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      allowHalfOpen: true,
      socket: {
        data: (_, chunk) => {
          connection.input.push(chunk);
          connection.wake();
        },
        drain: () => void connection.writer.drain(),
        end: () => connection.finish("fin"),
        close: () => connection.finish("reset"),
        error: () => connection.finish("reset"),
      },
    });
    connection.writer = new SocketWriter(connection.socket);
    return connection;
  }

  /** Sends text, one byte per character, or bytes. */
  send(data: string | Uint8Array): this {
    this.writer.send(typeof data === "string" ? Buffer.from(data, "latin1") : data);
    return this;
  }

  /** What has arrived and was not read as a response, one character per byte. */
  get pending(): string {
    return Buffer.concat(this.input).toString("latin1");
  }

  /** Reads one response. It is not complete when the peer ended the connection before. */
  async response(method = "GET"): Promise<RawResponse> {
    const pieces: Buffer[] = [];
    const reader = new ResponseReader(method, (piece) => pieces.push(piece));
    await this.read(reader);
    if (!reader.hasHead) throw new Error(`there is no response, but ${this.ended}`);
    const { status, headers, framing, complete } = reader;
    return { status, headers, framing, complete, body: Buffer.concat(pieces) };
  }

  /** Feeds a reader until its response is complete, the peer has ended, or `enough` says so. */
  async read(reader: ResponseReader, enough: () => boolean = () => false): Promise<void> {
    for (;;) {
      for (let piece = this.input.shift(); piece !== undefined; piece = this.input.shift()) {
        const rest = reader.feed(piece);
        if (rest.length > 0) this.input.unshift(rest);
        if (reader.complete) return;
      }
      if (this.ended !== null || enough()) return;
      await this.changed();
    }
  }

  /** Resolves once what arrived satisfies the condition, or the peer has ended. */
  async until(condition: (pending: string) => boolean): Promise<this> {
    while (this.ended === null && !condition(this.pending)) await this.changed();
    return this;
  }

  /** Resolves when the peer has ended the connection, with how. */
  async untilEnd(): Promise<Ended> {
    while (this.ended === null) await this.changed();
    return this.ended;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Says that nothing more comes, in an orderly way. */
  close(): void {
    this.socket.end();
  }

  /** Goes away without a word. */
  destroy(): void {
    this.socket.terminate();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  private changed(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private finish(how: Ended): void {
    this.ended ??= how;
    this.wake();
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resume of waiting) resume();
  }
}

export interface RequestParts {
  readonly method?: string;
  /** Name, value, name, value, ... `Host` is added where it is missing. */
  readonly headers?: readonly string[];
  /** Sent with a Content-Length. */
  readonly body?: string | Uint8Array;
}

/** The bytes of a request. */
export function requestBytes(target: string, { method, headers = [], body }: RequestParts = {}): Buffer {
  const fields = [...headers];
  const has = (name: string) => fields.some((text, i) => i % 2 === 0 && text.toLowerCase() === name);
  if (!has("host")) fields.unshift("Host", "client.test");
  if (body !== undefined) fields.push("Content-Length", String(Buffer.byteLength(body)));
  let head = `${method ?? (body === undefined ? "GET" : "POST")} ${target} HTTP/1.1\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return Buffer.concat([Buffer.from(`${head}\r\n`, "latin1"), Buffer.from(body ?? "")]);
}

/** Sends one request on a connection of its own, which is closed after the response. */
export async function ask(port: number, target: string, parts: RequestParts = {}): Promise<RawResponse> {
  using connection = await ClientConnection.open(port);
  return await connection.send(requestBytes(target, parts)).response(parts.method);
}
