import type { Exchange, HeaderList } from "../http/exchange.ts";
import type { Observation } from "./observation.ts";
import type { RequestControl } from "./request-control.ts";

/** A client's request, read whole, and ready to be forwarded any number of times. */
export interface ProxyRequest {
  readonly exchange: Exchange;
  readonly id: string;
  readonly body: Uint8Array;
  /** Fields that tell the upstream about the client, in place of the client's own of that name. */
  readonly forwarded: HeaderList;
  readonly control: RequestControl;
  readonly observation: Observation;
}
