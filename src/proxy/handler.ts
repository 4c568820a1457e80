import type { Exchange } from "../http/exchange.ts";
import { logError } from "../observe/log.ts";
import { admit } from "./admission.ts";
import { makeAttempts } from "./attempts.ts";
import { errorAnswer, type ErrorCode, type ErrorDetail } from "./errors.ts";
import { requestIdOf } from "./headers.ts";
import { Observation } from "./observation.ts";
import { relay, sendWhole } from "./relay.ts";
import { RequestControl } from "./request-control.ts";
import type { Route } from "./route.ts";

/** Handles one request from its head to the last byte of its answer: the whole way, top to bottom. */
export async function handle(exchange: Exchange, route: Route): Promise<void> {
  const id = requestIdOf(exchange.headers);
  const observation = new Observation(exchange, id, route);
  exchange.onFinished = () => observation.clientDone();
  try {
    let body = admit(exchange, route);
    if (body instanceof Promise) {
      observation.pause();
      body = await body;
      observation.resume();
    }
    if (body === "client-gone") return;
    if (!(body instanceof Uint8Array)) return refuse(exchange, observation, id, body.code, body.detail);

    observation.admitted(body);
    const request = {
      exchange,
      id,
      body,
      control: controlOf(exchange, route, observation),
      forwarded: route.limits.forwardedHeaders(exchange),
      observation,
    };
    const attempted = await makeAttempts(request, route);
    switch (attempted.kind) {
      case "open":
        return relay(request, attempted.answer, attempted.attempt);
      case "whole":
        return sendWhole(request, attempted.answer, attempted.attempt);
      case "error":
        return refuse(exchange, observation, id, attempted.code, attempted.detail);
      case "client-gone":
        return;
    }
  } catch (error) {
    logError("request failed", { request_id: id, forward: route.forward.name }, error);
    // After the head has gone out a second one cannot follow: then the answer breaks off.
    if (exchange.bytesOut > 0) {
      observation.error = "internal_error";
      exchange.cut();
    } else refuse(exchange, observation, id, "internal_error", {});
  } finally {
    observation.done();
  }
}

/** Begins the time limit and watches the client, from here to the end of the answer. */
function controlOf(exchange: Exchange, route: Route, observation: Observation): RequestControl {
  const control = new RequestControl(route.group.client.requestTimeoutMs, observation.workingSinceMs);
  exchange.onAbort = () => control.giveUp("client-gone");
  exchange.onFinished = () => {
    control.liftLimit();
    route.limits.requests.leave();
    observation.clientDone();
  };
  return control;
}

function refuse(
  exchange: Exchange,
  observation: Observation,
  id: string,
  code: ErrorCode,
  detail: ErrorDetail,
): void {
  const { status, headers, body } = errorAnswer(code, pathOf(exchange.target), id, detail);
  observation.refused(code, status);
  exchange.respond(status, headers, body);
}

function pathOf(target: string): string {
  const mark = target.indexOf("?");
  return mark < 0 ? target : target.slice(0, mark);
}
