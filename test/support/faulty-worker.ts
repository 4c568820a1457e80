// The entry of a worker thread as the product has it, with a bug: a request's field `x-fault` makes it fail with a
// message of the engine that repeats a secret, or ends the thread.
import "../../src/worker.ts";
import { headerValue } from "../../src/proxy/headers.ts";
import { SocketTransport } from "../../src/proxy/transport/socket.ts";
import type { UpstreamRequest } from "../../src/proxy/transport/transport.ts";

const { send } = SocketTransport.prototype;
SocketTransport.prototype.send = function (request: UpstreamRequest) {
  fail(headerValue(request.headers, "x-fault"), headerValue(request.headers, "authorization") ?? "");
  return send.call(this, request);
};

function fail(fault: string | null, authorization: string): void {
  const mistake = () => new Headers([[authorization, ""]]);
  switch (fault) {
    case "throw":
      mistake();
      break;
    case "throw-later":
      setTimeout(mistake);
      break;
    case "reject":
      void Promise.resolve().then(mistake);
      break;
    case "exit":
      process.exit(1);
  }
}
