import { describe, expect, test } from "bun:test";

import { SocketCall } from "../../../src/proxy/transport/socket-call.ts";
import type { OwnedSocket, SocketOwner } from "../../../src/proxy/transport/socket-owner.ts";
import { UpstreamConnection } from "../../../src/proxy/transport/upstream-connection.ts";
import { UpstreamPool } from "../../../src/proxy/transport/upstream-pool.ts";
import { onRequests, Recording } from "../../conformance/transports.ts";
import { ANY_SOCKETS } from "../../support/client-plan.ts";
import { startPeerServer } from "../../support/peer-server.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A socket of which the test is the kernel and the peer. */
class HandSocket {
  data!: SocketOwner;
  written = "";
  /** Bytes that the next writes take; -1 = it is broken. */
  takes = Number.POSITIVE_INFINITY;
  ended = false;

  write(bytes: Uint8Array, from = 0, length = bytes.length - from): number {
    const taken = Math.min(this.takes, length);
    if (taken > 0) this.written += Buffer.from(bytes.subarray(from, from + taken)).toString("latin1");
    return taken;
  }

  end(): void {
    this.ended = true;
  }

  terminate(): void {
    this.ended = true;
  }

  setNoDelay(): void {}

  says(text: string): void {
    this.data.onData(Buffer.from(text, "latin1"));
  }
}

/** A pool that dials `port`, and what may be put into it by hand. */
function setUp(port = 1) {
  const addresses = {
    get: (on: (list: readonly string[]) => void) => on(["127.0.0.1"]),
    demote() {},
    doubt() {},
  };
  const pool = new UpstreamPool(
    "model.test",
    { addresses, port, tls: null, limitMs: 5000 },
    { idleMs: 60_000, idleMax: 256, keepAliveMs: 0, sockets: ANY_SOCKETS },
  );
  const idleSocket = () => {
    const socket = new HandSocket();
    pool.release(new UpstreamConnection(socket as unknown as OwnedSocket, pool), 60_000);
    return socket;
  };
  const call = (target = "/", body: Uint8Array | null = null) => {
    const method = body === null ? "GET" : "POST";
    const made = new SocketCall({ method, origin: "http://model.test", target, headers: [], body }, pool);
    made.start();
    return made;
  };
  return { pool, idleSocket, call };
}

type Setup = ReturnType<typeof setUp>;

async function bodyOf(call: SocketCall): Promise<string> {
  const response = await call.response;
  if ("failed" in response) return `${response.failed}, ${response.reach}`;
  const whole = await response.body.whole(1_000_000);
  return whole instanceof Uint8Array ? Buffer.from(whole).toString("latin1") : JSON.stringify(whole);
}

/** A connection that has served a call and rests; of its peer nothing more will be heard. */
async function stale(setup: Setup, takes: number): Promise<HandSocket> {
  const socket = setup.idleSocket();
  const call = setup.call();
  socket.says(OK);
  expect(await bodyOf(call)).toBe("ok");
  socket.takes = takes;
  return socket;
}

describe("a stale connection", () => {
  test.each([[-1], [0]])("that takes nothing of a request (%d) is replaced by a new one", async (takes) => {
    using server = startPeerServer(onRequests((peer) => void peer.send(OK)));
    const setup = setUp(server.port);
    const socket = await stale(setup, takes);
    const call = setup.call();
    socket.data.onClose(true);
    expect(await bodyOf(call)).toBe("ok");
    expect(server.peers.length).toBe(1);
  });

  test("that has taken a part of a request is lost with it", async () => {
    const setup = setUp();
    const socket = await stale(setup, 5);
    const call = setup.call();
    socket.data.onClose(true);
    expect(await bodyOf(call)).toBe("lost, sent");
  });

  test("is replaced once, and not again and again", async () => {
    const setup = setUp();
    const [first, second] = [await stale(setup, -1), await stale(setup, Number.POSITIVE_INFINITY)];
    // Last in, first out.
    const [busy, call] = [setup.call(), setup.call()];
    first.data.onClose(true);
    // What is given back now serves the one that waits, and is stale as well.
    second.takes = -1;
    second.says(OK);
    expect(await bodyOf(busy)).toBe("ok");
    second.data.onClose(true);
    expect(await bodyOf(call)).toBe("lost, nothing-sent");
  });

  test("that has served nobody yet is no stale one", async () => {
    const setup = setUp();
    const socket = setup.idleSocket();
    socket.takes = -1;
    const call = setup.call();
    socket.data.onClose(true);
    expect(await bodyOf(call)).toBe("lost, nothing-sent");
  });
});

describe("a socket that takes a request in pieces", () => {
  test("serves the next request when one cannot be written", async () => {
    const setup = setUp();
    const socket = setup.idleSocket();
    expect(await bodyOf(setup.call("/a b"))).toBe("malformed, nothing-sent");
    expect([socket.written, socket.ended]).toEqual(["", false]);
    const call = setup.call("/next");
    expect(socket.written).toStartWith("GET /next HTTP/1.1\r\n");
    socket.says(OK);
    expect(await bodyOf(call)).toBe("ok");
  });

  test("gets each byte once, in order, whatever goes out on others meanwhile", async () => {
    const setup = setUp();
    const sockets = [setup.idleSocket(), setup.idleSocket(), setup.idleSocket()];
    const bodies = [Buffer.from("abc".repeat(10)), Buffer.alloc(100_000, "0123456789"), Buffer.from("xyz")];
    for (const socket of sockets) socket.takes = 7;
    const calls = bodies.map((body, i) => setup.call(`/${i}`, body)).reverse();
    while (sockets.some((socket, i) => socket.written.length < bodies[2 - i]!.length + 50)) {
      for (const socket of sockets) {
        socket.takes = socket.takes * 2 + 1;
        socket.data.onDrain();
      }
    }
    for (const [i, socket] of sockets.entries()) {
      const body = bodies[2 - i]!;
      expect(socket.written).toBe(
        `POST /${2 - i} HTTP/1.1\r\nHost: model.test\r\nContent-Length: ${body.length}\r\n\r\n${body.toString()}`,
      );
      socket.says(OK);
      expect(await bodyOf(calls[i]!)).toBe("ok");
      expect(socket.ended).toBe(false);
    }
  });

  test("is not used again when the answer came before all of the request was taken", async () => {
    const setup = setUp();
    const socket = setup.idleSocket();
    socket.takes = 10;
    const call = setup.call();
    socket.says(OK);
    expect(await bodyOf(call)).toBe("ok");
    expect(socket.ended).toBe(true);
  });

  test("and breaks has not ended in order, even if it looks so", async () => {
    const setup = setUp();
    const socket = setup.idleSocket();
    socket.takes = 10;
    const call = setup.call();
    socket.takes = -1;
    socket.data.onDrain();
    socket.says("HTTP/1.1 200 OK\r\n\r\nhalf of what it w");
    socket.data.onClose(false);
    expect(await bodyOf(call)).toBe('{"failed":"lost","reach":"body-begun"}');
  });
});

test("a body that nobody asks for is held back, and is all there when somebody does", async () => {
  const setup = setUp();
  const paused: boolean[] = [];
  const socket = Object.assign(setup.idleSocket(), {
    pause: () => void paused.push(true),
    resume: () => void paused.push(false),
  });
  const call = setup.call();
  socket.says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
  socket.says("def");
  socket.says("g");
  expect(paused).toEqual([true]);
  const response = await call.response;
  if ("failed" in response) throw new Error(response.failed);
  const recording = new Recording();
  response.body.pump(recording);
  expect(paused).toEqual([true, false]);
  expect(recording.text).toBe("abcdefg");
  socket.says("hi");
  expect([recording.text, recording.ending, socket.ended]).toEqual(["abcdefghi", "end", false]);
});

test("a connection that is paused when its answer ends is not paused for the next one", async () => {
  const setup = setUp();
  let paused = false;
  const socket = Object.assign(setup.idleSocket(), {
    pause: () => void (paused = true),
    resume: () => void (paused = false),
  });
  const call = setup.call();
  socket.says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  const response = await call.response;
  if ("failed" in response) throw new Error(response.failed);
  const recording = new Recording();
  response.body.pump(recording);
  response.body.pause();
  expect(paused).toBe(true);
  socket.says("ok");
  expect([recording.ending, paused]).toEqual(["end", false]);
});
