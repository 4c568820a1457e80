import { describe, expect, test } from "bun:test";

import { openTransport } from "../../../src/proxy/transport/choose.ts";
import type { Transport } from "../../../src/proxy/transport/transport.ts";
import { ANY_SOCKETS, CLIENT } from "../../support/client-plan.ts";
import { startPeerServer } from "../../support/peer-server.ts";
import { serverTls } from "../../support/tls.ts";
import { eventually } from "../../support/wait.ts";

/** Which transport a request comes by: only fetch sends fields of its own accord. */
async function transportOf(transport: Transport, origin: string, received: () => string): Promise<string> {
  const call = transport.send({ method: "GET", origin, target: "/", headers: [], body: null });
  await eventually("the request is there", () => received().includes("\r\n\r\n"));
  call.cancel();
  return /\r\nconnection: keep-alive\r\n/i.test(received()) ? "fetch" : "socket";
}

describe("plain HTTP goes", () => {
  test.each([
    ["auto", "socket"],
    ["socket", "socket"],
    ["fetch", "fetch"],
  ] as const)("with transport %s by %s", async (transport, wanted) => {
    using server = startPeerServer({});
    const received = () => server.peers[0]?.received ?? "";
    expect(
      await transportOf(openTransport({ ...CLIENT, transport }, ANY_SOCKETS), server.origin, received),
    ).toBe(wanted);
  });

  test("with an outbound proxy by fetch", async () => {
    using server = startPeerServer({});
    const received = () => server.peers[0]?.received ?? "";
    const transport = openTransport({ ...CLIENT, proxyUrl: server.origin }, ANY_SOCKETS);
    expect(await transportOf(transport, "http://model.test", received)).toBe("fetch");
    expect(received()).toStartWith("GET http://model.test/ HTTP/1.1\r\n");
  });
});

test.each([["auto"], ["socket"], ["fetch"]] as const)(
  "TLS is spoken with transport %s, and a certificate that nobody vouches for is refused",
  async (transport) => {
    using server = startPeerServer({}, { tls: serverTls });
    const opened = openTransport({ ...CLIENT, transport }, ANY_SOCKETS);
    const request = { method: "GET", origin: server.origin, target: "/", headers: [], body: null };
    expect(await opened.send(request).response).toEqual({ failed: "tls", reach: "not-connected" });
    expect(server.peers[0]?.received ?? "").toBe("");
    opened.close();
  },
);
