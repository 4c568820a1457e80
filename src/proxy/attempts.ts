import type { Unavailable } from "../balancer/group.ts";
import type { Lease } from "../balancer/lease.ts";
import { Trail } from "../balancer/trail.ts";
import type { RetryPlan } from "../config/plan.ts";
import type { HeaderList } from "../http/exchange.ts";
import { budgetResetMs, retryAfterMs } from "../llm/retry-after.ts";
import { isDebugLogged, log } from "../observe/log.ts";
import { alignedMs, nowMs } from "../shared/clock.ts";
import type { Attempt } from "./attempt.ts";
import { BegunBody } from "./begun-body.ts";
import type { ErrorCode, ErrorDetail } from "./errors.ts";
import { type OpenAnswer, receive, send, type WholeAnswer } from "./forward.ts";
import { headerValue } from "./headers.ts";
import { errorOfFailure, outcomeOfFailure, outcomeOfStatus } from "./outcome.ts";
import type { ProxyRequest } from "./request.ts";
import { type AttemptEnd, isRetriedStatus, type NextStep, nextStep } from "./retry.ts";
import type { Route } from "./route.ts";
import type { TransportFailure } from "./transport/transport.ts";

/** What the attempts came to. An attempt that is still open is ended by whoever sends its answer to the client. */
export type Attempted =
  | { readonly kind: "open"; readonly answer: OpenAnswer; readonly attempt: Attempt }
  | { readonly kind: "whole"; readonly answer: WholeAnswer; readonly attempt: Attempt | null }
  | { readonly kind: "error"; readonly code: ErrorCode; readonly detail: ErrorDetail }
  | { readonly kind: "client-gone" };

/** An attempt that ended with nothing to send for sure; `result` is what the client gets if nothing better follows. */
interface Ended {
  readonly kind: "ended";
  readonly end: AttemptEnd;
  /** Code of how it ended. */
  readonly reason: string;
  readonly result: Attempted;
}

/** With these and a time to wait an upstream asks all to leave it alone, not just this request. */
const REST_STATUSES = new Set([429, 503, 529]);

const CLIENT_GONE: Attempted = { kind: "client-gone" };

/** Tries upstreams until one gives an answer to relay, or nothing is left to try. The only retry loop. */
export async function makeAttempts(request: ProxyRequest, route: Route): Promise<Attempted> {
  const { control, observation } = request;
  const { id: group, client } = route.group;
  const trail = new Trail();
  let retries = 0;
  let last: { readonly kind: "failover" | "retry"; readonly ended: Ended } | null = null;

  let beganMs = observation.workingSinceMs;
  route.retryBudget.countRequest(group, alignedMs(beganMs));
  for (; ; beganMs = performance.now()) {
    const lease = route.balancer.acquire(group, trail, alignedMs(beganMs), client.requestTimeoutMs);
    observation.noteRejected();
    if (lease.kind !== "lease") return last?.ended.result ?? unavailable(lease);
    if (last !== null) route.metrics.group(group).triedAgain(last.kind, last.ended.reason);

    const ended = await makeAttempt(request, route, lease, beganMs);
    if (ended.kind !== "ended") return ended;
    if (control.givenUp === "client-gone") return CLIENT_GONE;
    const upstreams = route.balancer.outlook(group, trail, lease.upstream, nowMs());
    const left = { retry: client.retry, retries, timeMs: control.leftMs(), upstreams };
    const step = nextStep(ended.end, left, Math.random());
    if (isDebugLogged()) debug(request, route, lease, ended.reason, step);
    if (step.kind === "give-up") return ended.result;
    last = { kind: step.kind, ended };
    if (step.kind === "failover") continue;

    retries++;
    if (!route.retryBudget.mayRetry(group, nowMs(), client.retry!.budget)) {
      route.metrics.group(group).retrySuppressed();
      return ended.result;
    }
    if (step.waitMs === null) continue;
    observation.pause();
    await control.wait(step.waitMs);
    observation.resume();
    if (control.givenUp !== null) return control.givenUp === "timeout" ? ended.result : CLIENT_GONE;
    trail.forgetTried();
  }
}

/** One attempt on a leased upstream. It has ended, unless its answer is one to send. */
async function makeAttempt(
  request: ProxyRequest,
  route: Route,
  lease: Lease,
  beganMs: number,
): Promise<Ended | Attempted> {
  const { control, observation } = request;
  const { client } = route.group;
  const upstream = route.upstreams[lease.upstream]!;
  const attempt = observation.attempt(lease, beganMs);
  const call = send(request, upstream, client, route.transport);
  observation.pause();
  const response = await call.response;
  observation.resume();
  const mayHold = client.retry === null ? isNever : isRetriedStatus;
  let forwarded = receive(request, upstream, client, call, response, mayHold);
  if (forwarded instanceof Promise || (client.retry !== null && "body" in forwarded)) {
    observation.pause();
    forwarded = await forwarded;
    // As long as the client has nothing, another upstream can take over.
    if (client.retry !== null && "body" in forwarded) forwarded = await begun(forwarded);
    observation.resume();
  }
  if ("failed" in forwarded) {
    const isTimeout = control.givenUp === "timeout";
    const outcome = outcomeOfFailure(forwarded, control.givenUp === "client-gone");
    attempt.end(outcome, null);
    return {
      kind: "ended",
      reason: outcome.error,
      end: { reach: forwarded.reach, timedOut: isTimeout },
      result: errorFor(errorOfFailure(forwarded, isTimeout), client.retry),
    };
  }
  const { status } = forwarded;
  const wishMs = isRetriedStatus(status) ? obeyWish(route, lease.upstream, status, forwarded.headers) : null;
  if ("body" in forwarded) return { kind: "open", answer: forwarded, attempt };
  if (status < 400) return { kind: "whole", answer: forwarded, attempt };
  attempt.end(outcomeOfStatus(status, null), status);
  return {
    kind: "ended",
    reason: `status_${status}`,
    end: { status, wishMs },
    result: { kind: "whole", answer: forwarded, attempt: null },
  };
}

async function begun(answer: OpenAnswer): Promise<OpenAnswer | TransportFailure> {
  const body = await BegunBody.of(answer.body);
  return "failed" in body ? body : { ...answer, body };
}

function isNever(): boolean {
  return false;
}

/**
 * An upstream that asks to be left alone is: the others take the load before it refuses the next one. Gives how
 * long it wishes not to see this request again, null when it does not say.
 */
function obeyWish(route: Route, upstream: number, status: number, headers: HeaderList): number | null {
  const header = (name: string) => headerValue(headers, name);
  const wishMs = retryAfterMs(header, Date.now());
  const restMs = REST_STATUSES.has(status) ? (wishMs ?? budgetResetMs(header, Date.now())) : null;
  if (restMs !== null) {
    const now = nowMs();
    const cause = status === 429 ? "limited" : "unavailable";
    route.events.rested(route.group.id, upstream, now + restMs, now, cause);
    route.balancer.rest(upstream, now + restMs, now, cause);
  }
  return wishMs;
}

function debug({ id }: ProxyRequest, route: Route, lease: Lease, reason: string, step: NextStep): void {
  const upstream = route.upstreams[lease.upstream]!.name;
  log("debug", "attempt failed", {
    request_id: id,
    group: route.group.name,
    upstream,
    reason,
    next: step.kind,
  });
}

function unavailable({ reason, retryAtMs }: Unavailable): Attempted {
  const detail = retryAtMs === null ? {} : { retryAfterS: (retryAtMs - nowMs()) / 1000 };
  return { kind: "error", code: reason === "limited" ? "upstream_limited" : "upstream_unavailable", detail };
}

/**
 * An error of ours, marked where we retry, so that SDKs do not multiply that by theirs. What is short on this machine
 * may be there again in a moment.
 */
function errorFor(code: ErrorCode, retry: RetryPlan | null): Attempted {
  const usedUp = retry === null ? {} : { retriesUsedUp: true };
  return { kind: "error", code, detail: code === "no_files_left" ? { ...usedUp, retryAfterS: 1 } : usedUp };
}
