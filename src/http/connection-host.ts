import type { DeadlineQueue } from "../shared/deadlines.ts";
import type { Connection } from "./connection.ts";
import type { BodyBytes, Exchange } from "./exchange.ts";
import type { IdleConnections } from "./idle-connections.ts";

/** What a connection needs from its server. The settings among it can change between two requests. */
export interface ConnectionHost {
  readonly headQueue: DeadlineQueue;
  readonly stallQueue: DeadlineQueue;
  readonly writeQueue: DeadlineQueue;
  readonly idleQueue: DeadlineQueue;
  readonly lingerQueue: DeadlineQueue;
  /** For connections at rest when the server stops. */
  readonly graceQueue: DeadlineQueue;
  readonly headBytesMax: number;
  readonly headersMax: number;
  readonly bodyBytes: BodyBytes;
  /** Connections that wait for a request. */
  readonly idle: IdleConnections;
  readonly stopping: boolean;
  readonly onRequest: (exchange: Exchange) => void;
  readonly onRefusal: (exchange: Exchange, status: number, message: string) => void;
  forget(connection: Connection): void;
}
