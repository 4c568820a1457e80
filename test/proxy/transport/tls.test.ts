import { describe, expect, test } from "bun:test";

import type { Peer } from "../../support/peer-server.ts";
import { startPeerServer } from "../../support/peer-server.ts";
import { authorityFile, otherFile, otherTls, serverTls } from "../../support/tls.ts";

const ANSWER_BYTES = 3_000_000;
const TRUSTING = { NODE_EXTRA_CA_CERTS: authorityFile };
const TLS_FAILURE = { failed: "tls", reach: "not-connected" };

/** What two requests in a row come to in a process of its own. */
async function askTwice(origin: string, env: Record<string, string>, limitMs = 5000): Promise<unknown> {
  const client = Bun.spawn([process.execPath, `${import.meta.dir}/tls-client.ts`, origin, String(limitMs)], {
    env,
    stderr: "inherit",
  });
  return JSON.parse(await client.stdout.text());
}

/** Answers a request of 200,000 bytes with a large body. */
function answer(peer: Peer): void {
  const end = peer.received.indexOf("\r\n\r\n");
  if (end < 0 || peer.received.length < end + 4 + 200_000) return;
  peer.received = "";
  peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${ANSWER_BYTES}\r\n\r\n`);
  peer.send(Buffer.alloc(ANSWER_BYTES));
}

describe("TLS on a socket", () => {
  test.concurrent.each([
    ["127.0.0.1", null],
    ["localhost", "localhost"],
  ])(
    "to %s carries requests, one after the other, where its authority is trusted, and asks for the name %p",
    async (host, name) => {
      const names = new Map<Peer, string | null>();
      const onData = (peer: Peer) => {
        names.set(peer, peer.serverName());
        answer(peer);
      };
      using server = startPeerServer({ onData }, { tls: serverTls });
      const asked = await askTwice(`https://${host}:${server.port}`, TRUSTING);
      expect(asked).toEqual(Array(2).fill({ status: 200, bytes: ANSWER_BYTES }));
      expect(server.peers.map((peer) => names.get(peer))).toEqual([name]);
    },
  );

  test.concurrent.each([
    ["its authority is not trusted", "127.0.0.1", {}],
    ["the environment says not to check", "127.0.0.1", { NODE_TLS_REJECT_UNAUTHORIZED: "0" }],
    ["the certificate is for another name", "127.0.0.2", TRUSTING],
  ])("sends nothing where %s", async (_, hostname, env) => {
    using server = startPeerServer({ onData: answer }, { hostname, tls: serverTls });
    expect(await askTwice(server.origin, env)).toEqual([TLS_FAILURE, TLS_FAILURE]);
    expect(server.peers.every((peer) => peer.received === "")).toBe(true);
  });

  test.concurrent(
    "sends nothing where the certificate is for another name than the one asked for",
    async () => {
      using server = startPeerServer({ onData: answer }, { tls: otherTls });
      const asked = await askTwice(`https://localhost:${server.port}`, { NODE_EXTRA_CA_CERTS: otherFile });
      expect(asked).toEqual([TLS_FAILURE, TLS_FAILURE]);
      expect(server.peers.every((peer) => peer.received === "")).toBe(true);
    },
  );

  test.concurrent("sends nothing of a request to a server that does not speak it", async () => {
    using server = startPeerServer({ onData: (peer) => peer.send("HTTP/1.1 400 Bad Request\r\n\r\n") });
    const asked = await askTwice(server.origin.replace("http:", "https:"), TRUSTING);
    expect(asked).toEqual([TLS_FAILURE, TLS_FAILURE]);
    expect(server.peers.every((peer) => !peer.received.includes("POST"))).toBe(true);
  });

  test.concurrent("to a server that is silent ends at the connect limit, and is closed then", async () => {
    let firstHadEnded = false;
    const lookLater = () => {
      firstHadEnded = server.peers[0]!.ended !== null;
    };
    // While the second request waits, and the client still lives.
    using server = startPeerServer({
      onOpen: () => void (server.peers.length === 2 && setTimeout(lookLater, 500)),
    });
    const asked = await askTwice(server.origin.replace("http:", "https:"), TRUSTING, 1000);
    expect(asked).toEqual(Array(2).fill({ failed: "connect_timeout", reach: "not-connected" }));
    expect([server.peers.length, firstHadEnded]).toEqual([2, true]);
  });
});
