import type { Socket } from "bun";

import { SocketWriter } from "../../src/http/socket-writer.ts";

/** An HTTP proxy that only makes tunnels. */
export interface ConnectProxy {
  readonly port: number;
  /** Heads of the CONNECT requests, as they came. */
  readonly heads: readonly string[];
  stop(): void;
  [Symbol.dispose](): void;
}

interface Tunnel {
  input: Buffer;
  readonly writer: SocketWriter;
  readonly socket: Socket<Tunnel>;
  peer: Tunnel | null;
}

/**
 * Listens on the loopback address. Whatever name a CONNECT asks for, the tunnel leads to `targetPort` here; a
 * CONNECT without `authorization` (the whole value of Proxy-Authorization) is refused with a 407.
 */
export function startConnectProxy(targetPort: number, authorization: string | null): ConnectProxy {
  const heads: string[] = [];
  const handlers = {
    open(socket: Socket<Tunnel>) {
      socket.data = { input: Buffer.alloc(0), writer: new SocketWriter(socket), socket, peer: null };
    },
    data: (socket: Socket<Tunnel>, chunk: Buffer) => take(socket.data, chunk),
    drain: (socket: Socket<Tunnel>) => void socket.data.writer.drain(),
    close: (socket: Socket<Tunnel>) => void socket.data.peer?.socket.end(),
    error: (socket: Socket<Tunnel>) => void socket.data.peer?.socket.end(),
  };
  function take(tunnel: Tunnel, chunk: Buffer): void {
    if (tunnel.peer !== null) {
      tunnel.peer.writer.send(chunk);
      return;
    }
    tunnel.input = Buffer.concat([tunnel.input, chunk]);
    const end = tunnel.input.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = tunnel.input.toString("latin1", 0, end);
    heads.push(head);
    const given = /^proxy-authorization: (.*)$/im.exec(head)?.[1] ?? null;
    if (given === authorization) void connect(tunnel);
    else {
      tunnel.writer.send(
        Buffer.from("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
      );
      tunnel.socket.end();
    }
  }
  async function connect(tunnel: Tunnel): Promise<void> {
    const target = await Bun.connect<Tunnel>({ hostname: "127.0.0.1", port: targetPort, socket: handlers });
    target.data.peer = tunnel;
    tunnel.peer = target.data;
    tunnel.writer.send(Buffer.from("HTTP/1.1 200 Connection established\r\n\r\n"));
  }
  const listener = Bun.listen<Tunnel>({ hostname: "127.0.0.1", port: 0, socket: handlers });
  const stop = () => listener.stop(true);
  return { port: listener.port, heads, stop, [Symbol.dispose]: stop };
}
