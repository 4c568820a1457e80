import { describe, expect, test } from "bun:test";

import type { Dial } from "../../../src/proxy/transport/dial.ts";
import { SocketCall } from "../../../src/proxy/transport/socket-call.ts";
import { type PoolOptions, UpstreamPool } from "../../../src/proxy/transport/upstream-pool.ts";
import { onRequests } from "../../conformance/transports.ts";
import { startBlackHole } from "../../support/black-hole.ts";
import { type Peer, type PeerServer, startPeerServer } from "../../support/peer-server.ts";
import { unusedPort } from "../../support/ports.ts";
import { eventually } from "../../support/wait.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A pool of connections to a loopback port, and a hand on when the address becomes known. */
class Setup {
  readonly pool: UpstreamPool;
  address = "127.0.0.1";
  /** How often the address was asked for: once for each dial. */
  dials = 0;
  /** While true, dials get no address. */
  holds = false;
  private held: (() => void)[] = [];

  constructor(
    port: number,
    { limitMs = 5000, ...options }: Partial<PoolOptions> & { limitMs?: number } = {},
  ) {
    const addresses = {
      get: (onAddresses: (addresses: readonly string[]) => void) => {
        this.dials++;
        const go = () => onAddresses([this.address]);
        if (this.holds) this.held.push(go);
        else go();
      },
      demote() {},
      doubt() {},
    };
    this.pool = new UpstreamPool(
      "model.test",
      { addresses, port, tls: null, limitMs },
      { idleMs: 60_000, idleMax: 256, keepAliveMs: 0, ...options },
    );
  }

  /** Gives the address to those who wait for it, or to some of them. */
  letGo(count = this.held.length): void {
    this.holds = false;
    for (const go of this.held.splice(0, count)) go();
  }

  call(target = "/"): SocketCall {
    const origin = "http://model.test";
    const call = new SocketCall({ method: "GET", origin, target, headers: [], body: null }, this.pool);
    call.start();
    return call;
  }

  /** Sends a request and reads its answer. */
  async ask(target = "/"): Promise<string> {
    return bodyOf(this.call(target));
  }
}

async function bodyOf(call: SocketCall): Promise<string> {
  const response = await call.response;
  if ("failed" in response) return `${response.failed}, ${response.reach}`;
  const whole = await response.body.whole(1_000_000);
  return Buffer.from(whole as Uint8Array).toString("latin1");
}

/** A server that says ok to everything. */
function startOk(text = OK): PeerServer {
  return startPeerServer(onRequests((peer) => void peer.send(text)));
}

const open = (server: PeerServer) => server.peers.filter((peer) => peer.ended === null);

describe("idle connections", () => {
  test("are used last in, first out", async () => {
    const asked: Peer[] = [];
    using server = startPeerServer(onRequests((peer) => void asked.push(peer)));
    const setup = new Setup(server.port);
    const calls = [1, 2, 3].map(() => setup.call());
    await eventually("all are asked", () => asked.length === 3);
    for (const at of [1, 0, 2]) {
      asked[at]!.send(OK);
      await bodyOf(calls[server.peers.indexOf(asked[at]!)]!);
    }
    const again = [setup.call(), setup.call()];
    await eventually("two are asked again", () => asked.length === 5);
    expect([asked[3], asked[4]]).toEqual([asked[2]!, asked[0]!]);
    for (const call of again) call.cancel();
  });

  test("are kept up to a number, and for so long", async () => {
    const asked: Peer[] = [];
    using server = startPeerServer(onRequests((peer) => void asked.push(peer)));
    const setup = new Setup(server.port, { idleMax: 2, idleMs: 300 });
    const bodies = Array.from({ length: 5 }, () => bodyOf(setup.call()));
    await eventually("all are asked", () => asked.length === 5);
    for (const peer of asked) peer.send(OK);
    await Promise.all(bodies);
    await eventually("the surplus is closed", () => open(server).length === 2);
    await eventually("the rest is closed", () => open(server).length === 0);
  });

  test("are not closed while they are used again in time", async () => {
    using server = startOk();
    const setup = new Setup(server.port, { idleMs: 1500 });
    for (let round = 0; round < 10; round++) {
      expect(await setup.ask()).toBe("ok");
      await Bun.sleep(200);
    }
    expect(server.peers.length).toBe(1);
  });

  test("are not closed by their time while they serve a call", async () => {
    using server = startPeerServer(onRequests((peer) => void setTimeout(() => peer.send(OK), 150)));
    const setup = new Setup(server.port, { idleMs: 50 });
    expect(await setup.ask()).toBe("ok");
    expect(await setup.ask()).toBe("ok");
  });

  test.each([
    ["timeout=1", 0],
    ["timeout=0", 0],
    ["timeout=100", 1],
  ])("are closed before their peer does it, where it says when (Keep-Alive: %s)", async (value, kept) => {
    using server = startOk(`HTTP/1.1 200 OK\r\nKeep-Alive: ${value}\r\nContent-Length: 2\r\n\r\nok`);
    const setup = new Setup(server.port);
    expect(await setup.ask()).toBe("ok");
    if (kept === 0) await eventually("it is closed", () => open(server).length === 0);
    expect(open(server).length).toBe(kept);
  });

  test("that say something unasked are closed at once, and what they say is never an answer", async () => {
    using server = startOk();
    const setup = new Setup(server.port);
    expect(await setup.ask()).toBe("ok");
    server.peers[0]!.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL");
    await eventually("it is closed", () => server.peers[0]!.ended !== null);
    expect(await setup.ask()).toBe("ok");
    expect(server.peers.length).toBe(2);
  });

  test("are closed with their pool, and so is what is given back later", async () => {
    using server = startOk();
    const setup = new Setup(server.port);
    await Promise.all([setup.ask(), setup.ask()]);
    setup.pool.close();
    await eventually("all are closed", () => open(server).length === 0);
    expect(await setup.ask()).toBe("ok");
    await eventually("all are closed", () => open(server).length === 0);
  });
});

describe("a call that waits for a connection", () => {
  test("takes one that is given back before its own is up, which then serves another", async () => {
    const asked: Peer[] = [];
    using server = startPeerServer(onRequests((peer) => void asked.push(peer)));
    const setup = new Setup(server.port);
    const first = bodyOf(setup.call());
    await eventually("the first is asked", () => asked.length === 1);
    setup.holds = true;
    const second = bodyOf(setup.call());
    expect(setup.dials).toBe(2);
    asked[0]!.send(OK);
    await first;
    await eventually("the second is asked", () => asked.length === 2);
    expect(asked[1]).toBe(asked[0]!);
    setup.letGo();
    await eventually("the other connection is up", () => server.peers.length === 2);
    const third = bodyOf(setup.call());
    await eventually("the third is asked", () => asked.length === 3);
    expect([asked[2], setup.dials]).toEqual([server.peers[1]!, 2]);
    for (const peer of asked.slice(1)) peer.send(OK);
    expect(await Promise.all([second, third])).toEqual(["ok", "ok"]);
  });

  test("that is given up leaves its connection to others", async () => {
    using server = startOk();
    const setup = new Setup(server.port);
    const given = setup.call();
    given.cancel();
    expect(await given.response).toEqual({ failed: "cancelled", reach: "not-connected" });
    await eventually("the connection is up", () => server.peers.length === 1);
    expect(await setup.ask()).toBe("ok");
    expect(server.peers.length).toBe(1);
  });

  test("fails like all the others where the port refuses", async () => {
    const setup = new Setup(unusedPort());
    const asked = await Promise.all(Array.from({ length: 20 }, () => setup.ask()));
    expect(asked).toEqual(Array(20).fill("refused, not-connected"));
  });

  test("does not fail while there are as many dials as calls that wait", async () => {
    const setup = new Setup(unusedPort());
    setup.holds = true;
    const given = setup.call();
    const asked = setup.ask();
    given.cancel();
    // Two dials are under way for the one call that waits.
    setup.letGo(1);
    const first = await Promise.race([asked, Bun.sleep(50)]);
    expect(first).toBeUndefined();
    setup.letGo();
    expect(await asked).toBe("refused, not-connected");
    expect(setup.dials).toBe(2);
  });

  test("is served in its turn where more wait than are dialled for at a time", async () => {
    using server = startOk();
    const setup = new Setup(server.port);
    setup.holds = true;
    const asked = Array.from({ length: 700 }, () => setup.ask());
    expect(setup.dials).toBe(256);
    setup.letGo();
    expect(new Set(await Promise.all(asked))).toEqual(new Set(["ok"]));
  });

  test("does not dial on and on where nobody answers, and notices when somebody does", async () => {
    const hole = await startBlackHole();
    const { port } = new URL(hole.url);
    const setup = new Setup(Number(port), { limitMs: 30 });
    for (let round = 0; round < 5; round++) {
      const asked = await Promise.all(Array.from({ length: 40 }, () => setup.ask()));
      expect(new Set(asked)).toEqual(new Set(["connect_timeout, not-connected"]));
    }
    // Those of the first two rounds are still tried by the kernel: 80, and more would only use up descriptors. After
    // them there is one at a time.
    const before = setup.dials;
    expect(before).toBeGreaterThan(80);
    expect(before).toBeLessThan(90);
    using server = startPeerServer(
      onRequests((peer) => void peer.send(OK)),
      { hostname: "127.0.0.2", port: Number(port) },
    );
    setup.address = "127.0.0.2";
    await eventually("it is reached", async () => (await setup.ask()) === "ok");
    expect(server.peers.length).toBeGreaterThan(0);
    // As late ones come to nothing, many are made at a time again; no call bears that, as none waited for them.
    for (let i = 0; i < 30; i++) setup.pool.onFailed({ isLate: true } as Dial, "connect");
    setup.holds = true;
    const dials = setup.dials;
    const calls = Array.from({ length: 4 }, () => setup.call());
    // One has the connection that is there.
    expect(setup.dials).toBe(dials + 3);
    for (const call of calls) call.cancel();
    setup.letGo();
    hole.stop();
  }, 30_000);
});
