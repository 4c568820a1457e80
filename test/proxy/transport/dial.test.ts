import { describe, expect, test } from "bun:test";

import { Dial, type DialEvents } from "../../../src/proxy/transport/dial.ts";
import type { OwnedSocket } from "../../../src/proxy/transport/socket-owner.ts";
import type { FailureCode } from "../../../src/proxy/transport/transport.ts";
import { type BlackHole, startBlackHole } from "../../support/black-hole.ts";
import { type PeerServer, startPeerServer } from "../../support/peer-server.ts";
import { unusedPort } from "../../support/ports.ts";
import { eventually } from "../../support/wait.ts";

/** What a dial has come to. */
class Watch implements DialEvents {
  socket: OwnedSocket | null = null;
  failed: FailureCode | null = null;
  late: boolean | null = null;
  readonly demoted: string[] = [];
  private readonly addresses: readonly string[];

  constructor(addresses: readonly string[]) {
    this.addresses = addresses;
  }

  /** Dials the addresses on one port. */
  dial(port: number, limitMs = 5000): this {
    const addresses = {
      get: (onAddresses: (addresses: readonly string[]) => void) => onAddresses(this.addresses),
      demote: (address: string) => void this.demoted.push(address),
      doubt() {},
    };
    new Dial({ addresses, port, tls: null, limitMs }, this).start();
    return this;
  }

  onUp(_: Dial, socket: OwnedSocket): void {
    this.socket = socket;
  }

  onFailed(_: Dial, failed: FailureCode): void {
    this.failed = failed;
  }

  onLate(_: Dial, pending: boolean): void {
    this.late = pending;
  }
}

function portOf(hole: BlackHole): number {
  return Number(new URL(hole.url).port);
}

/** Listens on another loopback address at the port of the black hole. */
function besides(hole: BlackHole, hostname: string): PeerServer {
  return startPeerServer({}, { hostname, port: portOf(hole) });
}

describe("a dial", () => {
  test("takes the first address where it answers", async () => {
    using server = startPeerServer({});
    const watch = new Watch(["127.0.0.1", "127.0.0.2"]).dial(server.port);
    await eventually("it is up", () => watch.socket !== null);
    expect(watch.socket!.remoteAddress).toBe("127.0.0.1");
    expect(watch.demoted).toEqual([]);
    watch.socket!.end();
  });

  test("goes on at once where an address refuses, and puts that one last", async () => {
    using server = startPeerServer({}, { hostname: "127.0.0.3" });
    const watch = new Watch(["127.0.0.1", "127.0.0.2", "127.0.0.3"]).dial(server.port, 240);
    // The limit leaves no time for waiting between the addresses.
    await eventually("it is up", () => watch.socket !== null);
    expect(watch.socket!.remoteAddress).toBe("127.0.0.3");
    expect(watch.demoted).toEqual(["127.0.0.1", "127.0.0.2"]);
    watch.socket!.end();
  });

  test("fails when all addresses have refused", async () => {
    const watch = new Watch(["127.0.0.1", "127.0.0.2"]).dial(unusedPort());
    await eventually("it has failed", () => watch.failed !== null);
    expect([watch.failed, watch.late]).toEqual(["refused", null]);
  });

  test("fails where a name has no address", () => {
    expect(new Watch([]).dial(80).failed).toBe("dns");
  });

  describe("at an address that does not answer", () => {
    test("tries the next one beside it, in time before the limit, and puts the slow one last", async () => {
      const hole = await startBlackHole();
      using server = besides(hole, "127.0.0.2");
      const watch = new Watch(["127.0.0.1", "127.0.0.2"]).dial(server.port);
      await eventually("it is up", () => watch.socket !== null);
      expect(watch.socket!.remoteAddress).toBe("127.0.0.2");
      expect(watch.demoted).toEqual(["127.0.0.1"]);
      watch.socket!.end();
      // One that is alone is late after its limit, and may still come up.
      const alone = new Watch(["127.0.0.1"]).dial(portOf(hole), 50);
      await eventually("it is late", () => alone.late !== null);
      expect([alone.late, alone.failed, alone.socket]).toEqual([true, null, null]);
      // Four steps of the usual length would not fit into the limit.
      const addresses = [...Array<string>(4).fill("127.0.0.1"), "127.0.0.2"];
      const hasty = new Watch(addresses).dial(server.port, 600);
      await eventually("it is over", () => hasty.socket !== null || hasty.late !== null);
      expect([hasty.socket?.remoteAddress, hasty.late]).toEqual(["127.0.0.2", null]);
      hasty.socket!.end();
      hole.stop();
    }, 30_000);
  });
});
