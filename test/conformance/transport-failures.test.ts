import { afterAll, describe, expect, test } from "bun:test";

import type { Reach, Transport, TransportFailure } from "../../src/proxy/transport/transport.ts";
import { type BlackHole, startBlackHole } from "../support/black-hole.ts";
import { type Peer, startPeerServer } from "../support/peer-server.ts";
import { unusedPort } from "../support/ports.ts";
import { eventually } from "../support/wait.ts";
import { ask, failureOf, headOf, onRequests, Recording, requestTo, TRANSPORTS } from "./transports.ts";

let answer: (peer: Peer, request: string) => void = () => {};
const server = startPeerServer(onRequests((peer, request) => answer(peer, request)));
afterAll(() => server.stop());

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HALF = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";

/** Sends a request that fails, and gives how. */
async function failing(transport: Transport, origin: string, body?: string): Promise<TransportFailure> {
  return failureOf(transport.send(requestTo(origin, body === undefined ? {} : { body })));
}

describe.each(TRANSPORTS)("by %s", (name, open) => {
  const transport = open();
  afterAll(() => transport.close());

  test("a port where nobody listens is refused, and nothing is connected", async () => {
    const origin = `http://127.0.0.1:${unusedPort()}`;
    expect(await failing(transport, origin)).toEqual({ failed: "refused", reach: "not-connected" });
  });

  test("a name that cannot be resolved is told from other failures", async () => {
    // No name server is asked for it: a label has at most 63 characters.
    const failure = await failing(transport, `http://${"x".repeat(64)}.test`);
    expect(failure.reach).toBe("not-connected");
    if (name === "socket") expect(failure.failed).toBe("dns");
  });

  describe("connecting", () => {
    let hole: BlackHole;
    test("ends at its limit where nobody answers, and no sooner", async () => {
      hole = await startBlackHole();
      const limited = open({ connectTimeoutMs: 400 });
      const started = performance.now();
      expect(await failing(limited, hole.url)).toEqual({
        failed: "connect_timeout",
        reach: "not-connected",
      });
      expect(performance.now() - started).toBeGreaterThan(390);
    }, 30_000);

    test("is given up when the call is", async () => {
      const call = transport.send(requestTo(hole.url));
      await Bun.sleep(10);
      call.cancel();
      expect((await failureOf(call)).failed).toBe("cancelled");
      hole.stop();
    });
  });

  test("an answer may take longer than connecting", async () => {
    const limited = open({ connectTimeoutMs: 100 });
    answer = (peer) => setTimeout(() => peer.send(OK), 400);
    expect(await ask(limited, requestTo(server.origin))).toMatchObject({ body: "ok", end: "end" });
    limited.close();
  });

  const lost: [when: string, bytes: string, how: "fin" | "reset", reach: Reach][] = [
    ["before any byte of the answer", "", "fin", "sent"],
    ["before any byte of the answer", "", "reset", "sent"],
    ["in the middle of the head", "HTTP/1.1 200 OK\r\nContent-Le", "fin", "sent"],
    ["in the middle of the head", "HTTP/1.1 200 OK\r\nContent-Le", "reset", "sent"],
  ];
  test.each(lost)("a connection that ends %s (%j, %s) is lost", async (_, bytes, how, reach) => {
    answer = (peer) => {
      if (bytes !== "") peer.send(bytes);
      setTimeout(() => (how === "fin" ? peer.end() : peer.reset()), 10);
    };
    // A body, as fetch sends some requests without one again.
    expect(await failing(transport, server.origin, "{}")).toMatchObject({ reach });
  });

  const truncated: [bytes: string, how: "fin" | "reset"][] = [
    [HALF, "fin"],
    [HALF, "reset"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "fin"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "reset"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello", "fin"],
  ];
  test.each(truncated)(
    "a body that breaks off (%j, %s) has not ended, and what came is given",
    async (bytes, how) => {
      const breakOff = (peer: Peer) => (how === "fin" ? peer.end() : peer.reset());
      let peer: Peer | null = null;
      answer = (asked) => {
        peer = asked;
        asked.send(bytes);
      };
      const { body } = await headOf(transport.send(requestTo(server.origin)));
      const recording = new Recording();
      body.pump(recording);
      await eventually("all that came is given", () => recording.text === "hello");
      breakOff(peer!);
      await recording.done;
      expect([recording.text, recording.ending]).toEqual(["hello", { failed: "lost", reach: "body-begun" }]);

      answer = (asked) => {
        asked.send(bytes);
        // What was sent must be on its way, or a reset takes it back; nobody sees it arrive in a body that is read whole.
        setTimeout(() => breakOff(asked), 10);
      };
      const whole = await (await headOf(transport.send(requestTo(server.origin)))).body.whole(100);
      expect(whole).toEqual({ failed: "lost", reach: "body-begun" });
    },
  );

  test("a connection that its peer closes between two requests is not used for the second", async () => {
    answer = (peer) => {
      peer.send(OK);
      peer.end();
    };
    for (let round = 0; round < 20; round++) {
      expect((await ask(transport, requestTo(server.origin, { body: "{}" }))).body).toBe("ok");
      // Not before the end of the connection is known here.
      await Bun.sleep(2);
    }
  });

  test("a request on a connection that its peer closes instead of answering is lost, and was sent", async () => {
    answer = (peer) => peer.send(OK);
    expect((await ask(transport, requestTo(server.origin, { body: "{}" }))).body).toBe("ok");
    answer = (peer) => peer.end();
    expect(await failing(transport, server.origin, "{}")).toEqual({ failed: "lost", reach: "sent" });
  });

  const malformed = [
    "garbage\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n",
  ];
  test.each(malformed)("what is no answer (%j) is malformed", async (bytes) => {
    answer = (peer) => {
      peer.send(bytes);
      peer.end();
    };
    const { failed } = await failing(transport, server.origin, "{}");
    // To fetch, bytes that are not HTTP at all are a lost connection.
    expect(name === "fetch" ? ["malformed", "lost"] : ["malformed"]).toContain(failed);
  });

  test("an answer that comes before the request is all sent is given, and so is its body", async () => {
    // The server reads nothing but the head, so that most of the body cannot be sent.
    let answered = false;
    using early = startPeerServer({
      countOnly: true,
      onData(peer) {
        if (answered) return;
        answered = true;
        peer.pause();
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 7\r\n\r\ntoo big");
      },
    });
    const recording = new Recording();
    const response = await headOf(
      transport.send(requestTo(early.origin, { body: Buffer.alloc(30_000_000) })),
    );
    response.body.pump(recording);
    await recording.done;
    expect([response.status, recording.text, recording.ending]).toEqual([413, "too big", "end"]);
    // Nobody knows how the peer would read the rest of that request.
    const peer = early.peers[0]!;
    peer.resume();
    await eventually("its connection is closed", () => peer.ended !== null);
  });
});
