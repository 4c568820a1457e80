import type { Socket, SocketHandler } from "bun";

import { logError } from "../../observe/log.ts";

/** Who a socket's events are for: first a dial, then the connection that it became. */
export interface SocketOwner {
  /** The TCP connection is up. */
  onOpen?(socket: OwnedSocket): void;
  /** TLS is agreed on; `verified`: and the certificate is the host's own. */
  onHandshake?(socket: OwnedSocket, verified: boolean): void;
  onConnectError?(code: string): void;
  onData(chunk: Buffer): void;
  /** The socket takes more. */
  onDrain(): void;
  /** Closed, by whichever side, called once; `isReset`: not in order. */
  onClose(isReset: boolean): void;
}

export type OwnedSocket = Socket<SocketOwner>;

/** The handlers of every socket to an upstream: one set, as Bun wants it. */
export const socketHandler: SocketHandler<SocketOwner> = {
  open: (socket) => socket.data.onOpen?.(socket),
  data: (socket, chunk) => socket.data.onData(chunk),
  drain: (socket) => socket.data.onDrain(),
  close: (socket, error) => socket.data.onClose(error !== undefined && error !== null),
  connectError: (socket, error) => socket.data.onConnectError?.(codeOf(error)),
  error(socket, error) {
    // With a code it is a matter of the peer (a TLS alert), without one a bug of ours.
    if (codeOf(error) === "") logError("failure in a connection to an upstream", {}, error);
    socket.terminate();
  },
};

/** The same for TLS, where `handshake` tells that a connection is up. */
export const tlsSocketHandler: SocketHandler<SocketOwner> = {
  ...socketHandler,
  handshake: (socket, success, error) =>
    socket.data.onHandshake?.(socket, success && error === null && socket.authorized),
};

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}
