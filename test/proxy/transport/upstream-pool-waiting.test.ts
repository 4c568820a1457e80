import { describe, expect, test } from "bun:test";

import type { Dial } from "../../../src/proxy/transport/dial.ts";
import { onRequests } from "../../conformance/transports.ts";
import { startBlackHole } from "../../support/black-hole.ts";
import { ANY_SOCKETS } from "../../support/client-plan.ts";
import { type Peer, startPeerServer } from "../../support/peer-server.ts";
import { unusedPort } from "../../support/ports.ts";
import { eventually } from "../../support/wait.ts";
import { bodyOf, OK, Setup, startOk } from "./pool-setup.ts";

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
    let taken = 0;
    const sockets = { ...ANY_SOCKETS, take: () => -++taken, giveBack: () => void taken-- };
    const setup = new Setup(Number(port), { limitMs: 30, sockets });
    for (let round = 0; round < 5; round++) {
      const asked = await Promise.all(Array.from({ length: 40 }, () => setup.ask()));
      expect(new Set(asked)).toEqual(new Set(["connect_timeout, not-connected"]));
    }
    // Those of the first two rounds are still tried by the kernel: 80, and more would only use up descriptors. After
    // them there is one at a time.
    const before = setup.dials;
    expect(before).toBeGreaterThan(80);
    expect(before).toBeLessThan(90);
    // Each has a file that no request stands for.
    expect(taken).toBeGreaterThanOrEqual(before - 1);
    using server = startPeerServer(
      onRequests((peer) => void peer.send(OK)),
      { hostname: "127.0.0.2", port: Number(port) },
    );
    setup.address = "127.0.0.2";
    await eventually("it is reached", async () => (await setup.ask()) === "ok");
    expect(server.peers.length).toBeGreaterThan(0);
    // As late ones come to nothing, many are made at a time again; no call bears that, as none waited for them.
    const takenBefore = taken;
    for (let i = 0; i < 30; i++) setup.pool.onFailed({ isLate: true } as Dial, "connect");
    expect(taken).toBe(takenBefore - 30);
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
