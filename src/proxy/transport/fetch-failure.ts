import type { FailureCode, Reach, TransportFailure } from "./transport.ts";

/**
 * What Bun's error codes mean. Before-connection codes are the only ones after which nothing was sent for
 * sure. The errors themselves are dropped: their messages carry the whole URL, keys in the query included.
 */
const CODES: Readonly<Record<string, { failed: FailureCode; reach: Reach }>> = {
  ECONNREFUSED: { failed: "refused", reach: "not-connected" },
  FailedToOpenSocket: { failed: "connect", reach: "not-connected" },
  ConnectionRefused: { failed: "refused", reach: "not-connected" },
  EHOSTUNREACH: { failed: "connect", reach: "not-connected" },
  ENETUNREACH: { failed: "connect", reach: "not-connected" },
  EADDRNOTAVAIL: { failed: "connect", reach: "not-connected" },
  EMFILE: { failed: "connect", reach: "not-connected" },
  ETIMEDOUT: { failed: "connect", reach: "not-connected" },
  ENOTFOUND: { failed: "dns", reach: "not-connected" },
  EAI_AGAIN: { failed: "dns", reach: "not-connected" },
  ECONNRESET: { failed: "lost", reach: "sent" },
  ConnectionClosed: { failed: "lost", reach: "sent" },
  EPIPE: { failed: "lost", reach: "sent" },
  EPROTO: { failed: "tls", reach: "not-connected" },
  ERR_PROXY_TUNNEL: { failed: "proxy", reach: "not-connected" },
  ABORT_ERR: { failed: "cancelled", reach: "sent" },
};

/** The failure of a `fetch` that gave no response. `stoppedBy`: set when we gave it up ourselves. */
export function failureOf(error: unknown, stoppedBy: FailureCode | null): TransportFailure {
  if (stoppedBy === "connect_timeout") return { failed: stoppedBy, reach: "not-connected" };
  if (stoppedBy !== null) return { failed: stoppedBy, reach: "sent" };
  const code = (error as { code?: unknown }).code;
  const name = typeof code === "string" ? code : "";
  const known = CODES[name];
  if (known !== undefined) return known;
  // Names of certificate errors: UNABLE_TO_VERIFY_LEAF_SIGNATURE, CERT_HAS_EXPIRED, ERR_TLS_...
  if (/CERT|TLS|SSL|ISSUER|SIGNATURE|SELF_SIGNED/i.test(name))
    return { failed: "tls", reach: "not-connected" };
  return { failed: "malformed", reach: "sent" };
}

/** The word for an error that ended a body. */
export function codeOf(error: unknown): FailureCode {
  return failureOf(error, null).failed === "malformed" ? "malformed" : "lost";
}
