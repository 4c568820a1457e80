import { afterAll, describe, expect, test } from "bun:test";

import type { Call, Transport, UpstreamResponse } from "../../src/proxy/transport/transport.ts";
import { type Peer, startPeerServer } from "../support/peer-server.ts";
import { eventually } from "../support/wait.ts";
import { ask, failureOf, headOf, onRequests, Recording, requestTo, TRANSPORTS } from "./transports.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const STREAM = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

let answer: (peer: Peer, request: string) => void = () => {};
let last: Peer;
const server = startPeerServer(
  onRequests((peer, request) => {
    last = peer;
    answer(peer, request);
  }),
);
afterAll(() => server.stop());

/** Sends a request that is answered with the beginning of a stream. */
async function openStream(transport: Transport): Promise<{ call: Call; response: UpstreamResponse }> {
  answer = (peer) => peer.send(STREAM);
  const call = transport.send(requestTo(server.origin));
  return { call, response: await headOf(call) };
}

describe.each(TRANSPORTS)("by %s", (name, open) => {
  const transport = open();
  afterAll(() => transport.close());

  const gone = () => eventually("its connection is closed", () => last.ended !== null);

  describe("a call that is given up", () => {
    test("while it waits for the head closes its connection", async () => {
      let asked = false;
      answer = () => {
        asked = true;
      };
      const call = transport.send(requestTo(server.origin, { body: "{}" }));
      await eventually("the request is there", () => asked);
      call.cancel();
      expect(await failureOf(call)).toEqual({ failed: "cancelled", reach: "sent" });
      await gone();
    });

    test("in the middle of the head closes its connection", async () => {
      answer = (peer) => peer.send("HTTP/1.1 200 OK\r\nX-A");
      const call = transport.send(requestTo(server.origin, { body: "{}" }));
      await Bun.sleep(20);
      call.cancel();
      expect((await failureOf(call)).failed).toBe("cancelled");
      await gone();
    });

    test("before its body was asked for closes its connection, and the body has failed", async () => {
      const { call, response } = await openStream(transport);
      call.cancel();
      await gone();
      const recording = new Recording();
      response.body.pump(recording);
      await recording.done;
      expect(recording.ending).toMatchObject({ failed: "cancelled" });
    });

    test("in the middle of its body closes its connection, and the body has failed", async () => {
      const { call, response } = await openStream(transport);
      const recording = new Recording();
      response.body.pump(recording);
      await eventually("a piece is there", () => recording.text === "hello");
      call.cancel();
      await gone();
      // In a way that nobody can take for the end of the request alone: some servers would go on.
      if (name === "socket") expect(last.ended).toBe("reset");
      await recording.done;
      expect(recording.ending).toEqual({ failed: "cancelled", reach: "body-begun" });
      await Bun.sleep(5);
      expect(recording.late).toBe(0);
    });

    test("by the one who takes a piece gets no other", async () => {
      const { call, response } = await openStream(transport);
      const recording = new Recording();
      recording.onPiece = () => call.cancel();
      response.body.pump(recording);
      last.send("5\r\nworld\r\n");
      await recording.done;
      expect(recording.ending).toMatchObject({ failed: "cancelled" });
      await gone();
      expect(recording.late).toBe(0);
    });

    test("by the one who takes the last piece has not ended", async () => {
      answer = (peer) => peer.send(`${STREAM}0\r\n\r\n`);
      const call = transport.send(requestTo(server.origin));
      const response = await headOf(call);
      const recording = new Recording();
      recording.onPiece = () => call.cancel();
      response.body.pump(recording);
      await recording.done;
      await Bun.sleep(5);
      expect([recording.text, recording.late]).toEqual(["hello", 0]);
      if (name === "socket") expect(recording.ending).toMatchObject({ failed: "cancelled" });
    });

    test("while its body is read whole closes its connection", async () => {
      const { call, response } = await openStream(transport);
      const whole = response.body.whole(1000);
      await Bun.sleep(5);
      call.cancel();
      expect(await whole).toMatchObject({ failed: "cancelled" });
      await gone();
    });

    test("while its body is held back closes its connection", async () => {
      const { call, response } = await openStream(transport);
      const recording = new Recording();
      recording.onPiece = () => response.body.pause();
      response.body.pump(recording);
      await eventually("a piece is there", () => recording.bytes > 0);
      call.cancel();
      response.body.resume();
      await recording.done;
      expect(recording.ending).toMatchObject({ failed: "cancelled" });
      await gone();
    });

    test("after its end does no harm: the connection serves the next one", async () => {
      answer = (peer) => peer.send(OK);
      const call = transport.send(requestTo(server.origin));
      await (await headOf(call)).body.whole(100);
      const before = last;
      call.cancel();
      expect((await ask(transport, requestTo(server.origin))).body).toBe("ok");
      expect(last).toBe(before);
    });
  });
});
