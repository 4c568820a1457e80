/** How an attempt ended, as far as balancing is concerned. `error` is a short code for metrics. */
export type Outcome =
  /**
   * A complete answer with a status of 2xx or 3xx. `responseMs` runs from sending the request to the first
   * payload of a streamed response, else to the last byte; null when it is not known.
   */
  | { readonly kind: "success"; readonly responseMs: number | null }
  /** The caller's doing (400, 401, 404, ...): the upstream works, but a fast refusal must not attract requests. */
  | { readonly kind: "answered"; readonly error: string }
  /** 429: nothing is broken, but the next request is better sent elsewhere. */
  | { readonly kind: "limited"; readonly error: string }
  /** The upstream failed: connection, time limit, malformed answer, server error, a stream cut short. */
  | { readonly kind: "failure"; readonly error: string }
  /** Says nothing about the upstream: the client went away, or the attempt was given up. */
  | { readonly kind: "abandoned"; readonly error: string };
