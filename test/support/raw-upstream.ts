import type { Socket, TCPSocketListener, TLSOptions } from "bun";

import type { HeaderList } from "../../src/http/exchange.ts";
import { SocketWriter } from "../../src/http/socket-writer.ts";

/** A request as it arrived: the exact head, and a body of an announced length. */
export interface RawRequest {
  readonly method: string;
  readonly target: string;
  /** Name, value, name, value, ... in order and case. */
  readonly headers: HeaderList;
  readonly body: Buffer;
}

/** A connection of the proxy to the upstream. */
export class UpstreamConnection {
  closed = false;
  private readonly socket: Socket<UpstreamConnection>;
  private readonly writer: SocketWriter;
  private readonly onRequest: (request: RawRequest, connection: UpstreamConnection) => void;
  private input: Buffer = Buffer.alloc(0);
  private endAfterDrain = false;

  constructor(
    socket: Socket<UpstreamConnection>,
    onRequest: (request: RawRequest, connection: UpstreamConnection) => void,
  ) {
    this.socket = socket;
    this.writer = new SocketWriter(socket);
    this.onRequest = onRequest;
  }

  /** Sends text, one byte per character, or bytes, exactly. */
  send(data: string | Uint8Array): void {
    this.writer.send(typeof data === "string" ? Buffer.from(data, "latin1") : data);
  }

  /** Ends the connection in an orderly way once all is sent. */
  end(): void {
    this.endAfterDrain = true;
    if (this.writer.isDrained()) this.socket.end();
  }

  /** Cuts the connection: the peer sees a reset. */
  reset(): void {
    this.socket.terminate();
  }

  drained(): void {
    if (this.writer.drain() && this.endAfterDrain) this.socket.end();
  }

  received(chunk: Buffer): void {
    this.input = this.input.length === 0 ? chunk : Buffer.concat([this.input, chunk]);
    for (;;) {
      const end = this.input.indexOf("\r\n\r\n");
      if (end < 0) return;
      const request = readRequest(this.input, end);
      if (request === null) return;
      this.input = this.input.subarray(end + 4 + request.body.length);
      this.onRequest(request, this);
    }
  }
}

/** An upstream of bytes: it answers nothing by itself. */
export interface RawUpstream {
  readonly port: number;
  readonly url: string;
  /** How many connections were ever made to it. */
  readonly connectionCount: number;
  /** Those that are open. */
  readonly connections: ReadonlySet<UpstreamConnection>;
  readonly requests: readonly RawRequest[];
  stop(): void;
  [Symbol.dispose](): void;
}

/** Listens on the loopback address and hands on each request as soon as it is in, with the connection to answer on. */
export function startRawUpstream(
  onRequest: (request: RawRequest, connection: UpstreamConnection) => void,
  tls?: TLSOptions,
): RawUpstream {
  const connections = new Set<UpstreamConnection>();
  const requests: RawRequest[] = [];
  let connectionCount = 0;
  const take = (request: RawRequest, connection: UpstreamConnection) => {
    requests.push(request);
    onRequest(request, connection);
  };
  // A connection whose TLS handshake fails was never open.
  const gone = (connection: UpstreamConnection | undefined) => {
    if (connection === undefined) return;
    connection.closed = true;
    connections.delete(connection);
  };
  const listener: TCPSocketListener<UpstreamConnection> = Bun.listen<UpstreamConnection>({
    hostname: "127.0.0.1",
    port: 0,
    ...(tls === undefined ? {} : { tls }),
    socket: {
      open(socket: Socket<UpstreamConnection>) {
        socket.data = new UpstreamConnection(socket, take);
        connections.add(socket.data);
        connectionCount++;
      },
      data: (socket, chunk) => socket.data.received(chunk),
      drain: (socket) => socket.data.drained(),
      close: (socket) => gone(socket.data),
      error: (socket) => gone(socket.data),
    },
  });
  const stop = () => listener.stop(true);
  return {
    port: listener.port,
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${listener.port}`,
    get connectionCount() {
      return connectionCount;
    },
    connections,
    requests,
    stop,
    [Symbol.dispose]: stop,
  };
}

/** A request whose head ends at `end`, or null while its body is not in. */
function readRequest(input: Buffer, end: number): RawRequest | null {
  const [requestLine, ...lines] = input.toString("latin1", 0, end).split("\r\n");
  const [method, target] = requestLine!.split(" ");
  const headers = lines.flatMap((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const field = headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === "content-length");
  const length = field < 0 ? 0 : Number(headers[field + 1]);
  if (input.length < end + 4 + length) return null;
  return {
    method: method!,
    target: target!,
    headers,
    body: Buffer.from(input.subarray(end + 4, end + 4 + length)),
  };
}
