import type { Socket } from "bun";

import { deadlineQueue } from "../shared/deadlines.ts";
import type { ConnectionHost } from "./connection-host.ts";
import { Connection } from "./connection.ts";
import type { BodyBytes, ConnectionDoor, HttpServer, ServerOptions, ServerSettings } from "./exchange.ts";
import { IdleConnections } from "./idle-connections.ts";
import { HEADERS_MAX } from "./request-head.ts";
import { turnAway } from "./turn-away.ts";

/** How long a connection is read from after our side is closed. */
const LINGER_MS = 2_000;
/** How long a connection may rest once the server stops. A request on its way at that moment arrives within it. */
const GRACE_MS = 1_000;
/** A request head, request line included, is at most this large, unless another bound is set. */
const HEAD_BYTES_MAX = 32_768;
const UNBOUNDED: BodyBytes = { take: () => true, giveBack() {} };

/**
 * Listens for HTTP/1.x on TCP. Several threads and processes may listen on the same address and port; the
 * kernel spreads the connections (SO_REUSEPORT). Throws what `Bun.listen` throws: an error with `code`
 * `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`.
 *
 * It is ours, rather than `Bun.serve`, since a proxy needs what that hides: the target as it was sent (it
 * resolves dot segments), time limits on the head and on pauses in a body, every byte written or not.
 */
export function listen(options: ServerOptions): HttpServer {
  const connections = new Set<Connection>();
  const stopped = Promise.withResolvers<void>();
  let door = options.door;
  let listening = true;
  const host: ConnectionHost & { stopping: boolean } = {
    ...settingsOf(options),
    lingerQueue: deadlineQueue(LINGER_MS),
    graceQueue: deadlineQueue(GRACE_MS),
    idle: new IdleConnections((idle) => {
      if (!host.stopping) door?.waiting(idle);
    }),
    stopping: false,
    forget(connection: Connection) {
      connections.delete(connection);
      door?.leave();
      settle();
    },
  };
  const settle = () => {
    if (!listening && connections.size === 0) stopped.resolve();
  };
  const listener = Bun.listen<Connection>({
    hostname: options.address,
    port: options.port,
    // `reusePort` is missing in the types of `listen`, but works there as it does in `connect`.
    ...{ reusePort: true },
    allowHalfOpen: true,
    socket: {
      open(socket: Socket<Connection>) {
        socket.setNoDelay(true);
        const connection = new Connection(socket, host);
        socket.data = connection;
        connections.add(connection);
        letIn(connection, host, door);
      },
      data: (socket, chunk) => socket.data.onData(chunk),
      drain: (socket) => socket.data.onDrain(),
      end: (socket) => socket.data.onEnd(),
      close: (socket) => socket.data.onClose(),
      error: (socket) => socket.data.destroy(),
    },
  });
  const unlisten = () => {
    listener.stop();
    listening = false;
    settle();
  };
  return {
    port: listener.port,
    update(settings) {
      Object.assign(host, settingsOf(settings));
      door = settings.door;
      door?.waiting(host.idle);
    },
    stop() {
      host.stopping = true;
      door?.forget(host.idle);
      turnAway(listener, unlisten);
      for (const connection of connections) connection.retireSoon();
      return stopped.promise;
    },
    close() {
      if (!host.stopping) door?.forget(host.idle);
      host.stopping = true;
      unlisten();
      for (const connection of connections) connection.destroy();
    },
  };
}

function letIn(connection: Connection, { idle }: ConnectionHost, door: ConnectionDoor | undefined): void {
  const entry = door?.enter(idle) ?? "serve";
  if (entry === "serve") idle.add(connection);
  else if (entry === "refuse") connection.refuse(503, "There are too many connections.");
  else connection.destroy();
}

/** What a connection sees of the settings. */
function settingsOf(settings: ServerSettings) {
  return {
    headQueue: deadlineQueue(settings.headTimeoutMs),
    stallQueue: deadlineQueue(settings.stallTimeoutMs),
    writeQueue: deadlineQueue(settings.writeTimeoutMs),
    idleQueue: deadlineQueue(settings.idleTimeoutMs),
    headBytesMax: settings.headBytesMax ?? HEAD_BYTES_MAX,
    headersMax: settings.headersMax ?? HEADERS_MAX,
    bodyBytes: settings.bodyBytes ?? UNBOUNDED,
    onRequest: settings.onRequest,
    onRefusal: settings.onRefusal,
  };
}
