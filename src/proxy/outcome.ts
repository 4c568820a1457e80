import type { Outcome } from "../balancer/outcome.ts";
import type { ErrorCode } from "./errors.ts";
import type { TransportFailure } from "./transport/transport.ts";

/** Server errors of LLM providers (529: Anthropic is overloaded) and of Cloudflare before them (520-527). */
export function isFailureStatus(status: number): boolean {
  return (
    status === 500 || (status >= 502 && status <= 504) || status === 529 || (status >= 520 && status <= 527)
  );
}

/** What a complete answer says about its upstream. `responseMs`: see `Outcome`. */
export function outcomeOfStatus(status: number, responseMs: number | null): Outcome {
  if (status < 400) return { kind: "success", responseMs };
  const error = `status_${status}`;
  if (status === 429) return { kind: "limited", error };
  return isFailureStatus(status) ? { kind: "failure", error } : { kind: "answered", error };
}

/** What a failed attempt says about its upstream. `clientGone`: it failed since we gave it up for that reason. */
export function outcomeOfFailure(
  failure: TransportFailure,
  clientGone: boolean,
): Outcome & { readonly error: string } {
  if (clientGone) return { kind: "abandoned", error: "client_gone" };
  if (failure.failed === "no_files") return { kind: "abandoned", error: failure.failed };
  return { kind: "failure", error: failure.failed === "cancelled" ? "timeout" : failure.failed };
}

/** The error that tells a client of a failed attempt. */
export function errorOfFailure(failure: TransportFailure, timedOut: boolean): ErrorCode {
  if (timedOut || failure.failed === "connect_timeout") return "upstream_timeout";
  if (failure.failed === "no_files") return "no_files_left";
  return failure.reach === "not-connected" ? "upstream_unreachable" : "upstream_broken";
}
