import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";

import { SocketBudget } from "../../../src/limits/socket-budget.ts";
import { LimitsMemory } from "../../../src/memory/limits-memory.ts";
import { onRequests } from "../../conformance/transports.ts";
import { inFreshMemory } from "../../memory/setup.ts";
import { type Peer, type PeerServer, startPeerServer } from "../../support/peer-server.ts";
import { eventually } from "../../support/wait.ts";
import { bodyOf, OK, Setup, startOk } from "./pool-setup.ts";

/** What the kernel waits for on the connection of ours to a port of the loopback address, and how long. */
function timerTo(port: number): { kind: "none" | "retransmit" | "keep-alive" | "other"; ms: number } {
  const peer = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .map((line) => line.trim().split(/ +/));
  const line = lines.find((fields) => fields[2] === peer);
  if (line === undefined) throw new Error("there is no connection");
  const [kind, ticks] = line[5]!.split(":");
  const kinds = ["none", "retransmit", "keep-alive"] as const;
  return { kind: kinds[Number(kind)] ?? "other", ms: Number.parseInt(ticks!, 16) * 10 };
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

  test.skipIf(process.platform !== "linux").each([
    [45_000, "keep-alive"],
    [0, "none"],
  ])(
    "are asked by TCP whether the peer is still there, after a silence of %d ms: %s",
    async (keepAliveMs, timer) => {
      using server = startOk();
      const setup = new Setup(server.port, { keepAliveMs });
      expect(await setup.ask()).toBe("ok");
      await eventually("the request is acknowledged", () => timerTo(server.port).kind !== "retransmit");
      const { kind, ms } = timerTo(server.port);
      expect<string>(kind).toBe(timer);
      if (keepAliveMs > 0) expect(Math.abs(ms - keepAliveMs)).toBeLessThan(5000);
    },
  );

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

  test("are counted, however they end, and kept where there is room for them", async () => {
    const memory = inFreshMemory((region) => new LimitsMemory(region, { workers: 1, forwards: 1 }));
    memory.socketsMax = 3;
    const sockets = new SocketBudget(memory, 0);
    const count = () => memory.sockets.read(0);
    const asked: Peer[] = [];
    using server = startPeerServer(onRequests((peer) => void asked.push(peer)));
    const setup = new Setup(server.port, { sockets });
    const bodies = Array.from({ length: 5 }, () => bodyOf(setup.call()));
    await eventually("all are asked", () => asked.length === 5);
    expect(count()).toBe(0);
    for (const peer of asked) peer.send(OK);
    await Promise.all(bodies);
    expect(count()).toBe(3);
    await eventually("the surplus is closed", () => open(server).length === 3);
    open(server)[0]!.end();
    await eventually("that is noticed", () => count() === 2);
    const again = bodyOf(setup.call());
    expect(count()).toBe(1);
    await eventually("it is asked", () => asked.length === 6);
    asked[5]!.send(OK);
    await again;
    expect(count()).toBe(2);
    expect([sockets.makeRoom(0), count()]).toEqual([true, 1]);
    setup.pool.close();
    expect([sockets.makeRoom(0), count()]).toEqual([false, 0]);
    await eventually("all are closed", () => open(server).length === 0);
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
