import { afterAll, describe, expect, test } from "bun:test";

import type { Call, Transport, UpstreamResponse } from "../../src/proxy/transport/transport.ts";
import { type Peer, startPeerServer } from "../support/peer-server.ts";
import { Random } from "../support/random.ts";
import { eventually } from "../support/wait.ts";
import { ask, headOf, onRequests, Recording, requestTo, TRANSPORTS } from "./transports.ts";

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

  test("connections are used again, and one for each call where the client says so", async () => {
    answer = (peer) => peer.send(OK);
    await ask(transport, requestTo(server.origin));
    const first = last;
    for (let round = 0; round < 5; round++) {
      await ask(transport, requestTo(server.origin));
      expect(last).toBe(first);
    }
    const single = open({ keepaliveMs: 0 });
    for (let round = 0; round < 3; round++) {
      const before = last;
      expect((await ask(single, requestTo(server.origin))).body).toBe("ok");
      expect(last).not.toBe(before);
      await gone();
    }
  });

  test("a connection that its peer will close is not used again, though it is still open", async () => {
    answer = (peer) => peer.send(OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    await ask(transport, requestTo(server.origin));
    const before = last;
    expect((await ask(transport, requestTo(server.origin))).body).toBe("ok");
    expect(last).not.toBe(before);
  });

  test("interim responses are skipped, however many a connection has seen", async () => {
    answer = (peer) => peer.send(`HTTP/1.1 100 Continue\r\n\r\n${OK}`);
    for (let round = 0; round < 40; round++)
      expect((await ask(transport, requestTo(server.origin))).body).toBe("ok");
  });

  test.each([
    ["end", "end"],
    ["reset", "lost"],
  ] as const)("a body that is asked for after its connection's %s is there", async (how, wanted) => {
    answer = (peer) => {
      peer.send("HTTP/1.1 200 OK\r\n\r\nhello");
      setTimeout(() => (how === "end" ? peer.end() : peer.reset()), 5);
    };
    const { body } = await headOf(transport.send(requestTo(server.origin)));
    await Bun.sleep(30);
    const recording = new Recording();
    body.pump(recording);
    await recording.done;
    expect(recording.text).toBe("hello");
    // For fetch a reset is an end like any other.
    if (name === "socket" || how === "end")
      expect(recording.ending === "end" ? "end" : recording.ending?.failed).toBe(wanted);
  });

  test("a slow reader holds the upstream back, and loses nothing", async () => {
    const total = 60_000_000;
    const piece = Buffer.alloc(1_000_000, "0123456789");
    let sent = 0;
    const pour = (peer: Peer) => {
      while (sent < total && peer.isDrained()) {
        peer.send(piece);
        sent += piece.length;
      }
    };
    let pouring: Peer | null = null;
    const tick = setInterval(() => pouring !== null && pour(pouring), 1);
    answer = (peer) => {
      peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
      pouring = peer;
    };
    const { body } = await headOf(transport.send(requestTo(server.origin)));
    const recording = new Recording();
    let pauses = 0;
    recording.onPiece = () => {
      if (recording.bytes < (pauses + 1) * 5_000_000) return;
      pauses++;
      body.pause();
    };
    body.pump(recording);
    while (recording.bytes < total) {
      const before = pauses;
      await eventually("it is paused or over", () => pauses > before || recording.ending !== null);
      await Bun.sleep(20);
      const stopped = recording.bytes;
      await Bun.sleep(20);
      // One more piece may have come behind the pause, but no more.
      expect(recording.bytes - stopped).toBe(0);
      // What is on its way is what sockets hold, not what there is.
      expect(sent - recording.bytes).toBeLessThan(20_000_000);
      body.resume();
      if (recording.ending !== null) break;
    }
    await recording.done;
    clearInterval(tick);
    expect([recording.bytes, recording.ending]).toEqual([total, "end"]);
  }, 30_000);

  test("a slow upstream gets all of a large request, byte for byte", async () => {
    const body = Buffer.alloc(20_000_000);
    for (let i = 0; i < body.length; i += 4) body.writeUInt32LE(i, i);
    const hasher = new Bun.CryptoHasher("sha256");
    let head = "";
    let taken = 0;
    using slow = startPeerServer({
      onData(peer) {
        let bytes = peer.received;
        peer.received = "";
        if (head === "") {
          const end = bytes.indexOf("\r\n\r\n") + 4;
          head = bytes.slice(0, end);
          bytes = bytes.slice(end);
        }
        taken += bytes.length;
        hasher.update(Buffer.from(bytes, "latin1"));
        peer.pause();
        setTimeout(() => peer.resume(), 1);
        if (taken < Number(/\r\ncontent-length: (\d+)/i.exec(head)![1])) return;
        peer.send(OK);
        head = "";
        taken = 0;
      },
    });
    const expected = new Bun.CryptoHasher("sha256");
    for (const sent of [body, Buffer.from("a small one"), body]) {
      expect(await ask(transport, requestTo(slow.origin, { body: sent }))).toMatchObject({ body: "ok" });
      expected.update(sent);
    }
    expect(hasher.digest("hex")).toBe(expected.digest("hex"));
    // Each was sent whole, so the connection is as good as any.
    expect(slow.peers.length).toBe(1);
  }, 30_000);

  test("many calls at a time each get their own answer", async () => {
    const random = new Random();
    answer = (peer, request) => {
      const target = request.split(" ")[1]!;
      const send = () => peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`);
      if (random.below(3) === 0) setTimeout(send, random.below(20));
      else send();
    };
    const before = server.peers.length;
    await random.run(async () => {
      let next = 0;
      const client = async () => {
        while (next < 3000) {
          const target = `/${next++}`;
          const call = transport.send(requestTo(server.origin, { target, body: "{}" }));
          if (random.below(20) === 0) {
            setTimeout(() => call.cancel(), random.below(10));
            await call.response;
            continue;
          }
          const { body } = await headOf(call);
          expect(Buffer.from((await body.whole(100)) as Uint8Array).toString()).toBe(target);
        }
      };
      await Promise.all(Array.from({ length: 40 }, client));
    });
    // Those whose calls were given up are lost, the others are used again.
    if (name === "socket") expect(server.peers.length - before).toBeLessThan(40 + 3000 / 20 + 200);
  }, 30_000);

  test("a transport that is closed finishes what it does, and then lets go of the connection", async () => {
    const closing = open();
    answer = (peer) => peer.send(OK);
    await ask(closing, requestTo(server.origin));
    const { response } = await openStream(closing);
    const busy = last;
    closing.close();
    const recording = new Recording();
    response.body.pump(recording);
    busy.send("0\r\n\r\n");
    await recording.done;
    expect([recording.text, recording.ending]).toEqual(["hello", "end"]);
    // What becomes of the connections of fetch in the end is up to it.
    if (name === "socket") await eventually("its connection is closed", () => busy.ended !== null);
  });
});
