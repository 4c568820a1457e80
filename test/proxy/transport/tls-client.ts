// Asks an origin over TLS on a socket and prints what comes of it. A process of its own, since the authorities that it
// trusts are read when it starts. Arguments: origin, connect limit in milliseconds.
import { SocketTransport } from "../../../src/proxy/transport/socket.ts";
import { ANY_SOCKETS, CLIENT } from "../../support/client-plan.ts";

const [origin, limit] = process.argv.slice(2);
const transport = new SocketTransport({ ...CLIENT, connectTimeoutMs: Number(limit) }, ANY_SOCKETS);

async function ask(): Promise<object> {
  const request = {
    method: "POST",
    origin: origin!,
    target: "/",
    headers: [],
    body: Buffer.alloc(200_000, "x"),
  };
  const response = await transport.send(request).response;
  if ("failed" in response) return response;
  const body = await response.body.whole(10_000_000);
  return { status: response.status, bytes: body instanceof Uint8Array ? body.length : body };
}

console.log(JSON.stringify([await ask(), await ask()]));
process.exit(0);
