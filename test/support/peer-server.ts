import type { Socket, TCPSocketListener, TLSOptions } from "bun";

import { SocketWriter } from "../../src/http/socket-writer.ts";

/** A connection that was made to a peer server: says and hears bytes, and knows no protocol. */
export class Peer {
  /** All that has arrived, one character per byte. */
  received = "";
  receivedBytes = 0;
  /** How the other side ended it; null while it is open. */
  ended: "fin" | "reset" | null = null;
  private readonly socket: Socket<Peer>;
  private readonly writer: SocketWriter;
  private endsAfterDrain = false;

  constructor(socket: Socket<Peer>) {
    this.socket = socket;
    this.writer = new SocketWriter(socket);
  }

  /** Sends text, one byte per character, or bytes. False: not all of it has gone out. */
  send(data: string | Uint8Array): boolean {
    return this.writer.send(typeof data === "string" ? Buffer.from(data, "latin1") : data);
  }

  /** All that was sent has gone out. */
  isDrained(): boolean {
    return this.writer.isDrained();
  }

  /** Ends it in order once all is out. */
  end(): void {
    this.endsAfterDrain = true;
    if (this.writer.isDrained()) this.socket.end();
  }

  /** The name of the server that a TLS client asked for (SNI); null = none. */
  serverName(): string | null {
    return (this.socket as unknown as { getServername(): string | undefined }).getServername() ?? null;
  }

  reset(): void {
    this.socket.terminate();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  onDrain(): void {
    if (this.writer.drain() && this.endsAfterDrain) this.socket.end();
  }
}

/** What a peer server does. */
export interface PeerHandlers {
  /** Keeps what arrives out of `received`, which grows with it: for large bodies. */
  readonly countOnly?: boolean;
  onOpen?(peer: Peer): void;
  /** More has arrived. */
  onData?(peer: Peer): void;
}

/** A server of bytes. */
export interface PeerServer {
  readonly port: number;
  readonly origin: string;
  /** All that ever connected, in order. */
  readonly peers: readonly Peer[];
  stop(): void;
  [Symbol.dispose](): void;
}

/** Listens on a loopback address; `port` 0 = any that is free. */
export function startPeerServer(
  handlers: PeerHandlers,
  { hostname = "127.0.0.1", port = 0, tls }: { hostname?: string; port?: number; tls?: TLSOptions } = {},
): PeerServer {
  const peers: Peer[] = [];
  // There is no peer where TLS could not be agreed on.
  const gone = (peer: Peer | undefined) => {
    if (peer !== undefined) peer.ended ??= "reset";
  };
  const listener: TCPSocketListener<Peer> = Bun.listen<Peer>({
    hostname,
    port,
    ...(tls === undefined ? {} : { tls }),
    socket: {
      open(socket: Socket<Peer>) {
        socket.data = new Peer(socket);
        peers.push(socket.data);
        handlers.onOpen?.(socket.data);
      },
      data({ data: peer }, chunk) {
        peer.receivedBytes += chunk.length;
        if (handlers.countOnly !== true) peer.received += chunk.toString("latin1");
        handlers.onData?.(peer);
      },
      drain: ({ data: peer }) => peer.onDrain(),
      end: ({ data: peer }) => void (peer.ended ??= "fin"),
      close: ({ data: peer }) => gone(peer),
    },
  });
  const stop = () => listener.stop(true);
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    port: listener.port,
    origin: `${tls === undefined ? "http" : "https"}://${host}:${listener.port}`,
    peers,
    stop,
    [Symbol.dispose]: stop,
  };
}
