import { describe, expect, test } from "bun:test";

import type { ConnectionDoor, Exchange } from "../../src/http/exchange.ts";
import { listen } from "../../src/http/server.ts";
import { SocketWriter } from "../../src/http/socket-writer.ts";
import { ClientConnection, requestBytes } from "../support/client-connection.ts";
import { Random } from "../support/random.ts";
import { eventually } from "../support/wait.ts";

/** Memory that tells how much of it is held. */
class Ledger {
  held = 0;
  most = 0;
  readonly bytesMax: number;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  take(bytes: number): boolean {
    if (this.held + bytes > this.bytesMax) return false;
    this.held += bytes;
    this.most = Math.max(this.most, this.held);
    return true;
  }

  giveBack(bytes: number): void {
    this.held -= bytes;
  }
}

function serve(onRequest: (exchange: Exchange) => void, bodyBytes: Ledger, door?: ConnectionDoor) {
  const server = listen({
    address: "127.0.0.1",
    port: 0,
    headTimeoutMs: 20_000,
    stallTimeoutMs: 20_000,
    writeTimeoutMs: 20_000,
    idleTimeoutMs: 20_000,
    bodyBytes,
    ...(door === undefined ? {} : { door }),
    onRequest,
    onRefusal: (exchange, status, message) => exchange.respond(status, [], Buffer.from(message)),
  });
  return { port: server.port, [Symbol.dispose]: () => server.close() };
}

/** Reads the body and answers with its length, or with why not. */
async function measure(exchange: Exchange): Promise<void> {
  const body = await exchange.readBody(1_000_000);
  if (typeof body === "string") exchange.respond(body === "no-room" ? 503 : 400, [], Buffer.from(body));
  else exchange.respond(200, [], Buffer.from(String(body.length)));
}

const post = (length: number) => requestBytes("/", { method: "POST", body: "x".repeat(length) });

describe("memory for request bodies", () => {
  test("is taken for what is held and given back with the answer", async () => {
    const memory = new Ledger(1_000_000);
    let answer: Exchange | null = null;
    using server = serve(async (exchange) => {
      await exchange.readBody(1_000_000);
      answer = exchange;
    }, memory);
    using client = await ClientConnection.open(server.port);
    for (const length of [1, 5_000, 300_000]) {
      client.send(post(length));
      await eventually("the body is in", () => answer !== null);
      expect(memory.held).toBe(length);
      answer!.respond(200, [], null);
      answer = null;
      expect((await client.response()).status).toBe(200);
      expect(memory.held).toBe(0);
    }
  });

  test("is taken as bytes come, in proportion to them", async () => {
    const memory = new Ledger(1_000_000);
    using server = serve(measure, memory);
    using client = await ClientConnection.open(server.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
    await Bun.sleep(20);
    expect(memory.held).toBe(0);
    let sent = 0;
    for (let piece = 1_000; sent + piece < 900_000; piece *= 2) {
      client.send("x".repeat(piece));
      sent += piece;
      await eventually("it is held", () => memory.held >= sent);
      expect(memory.held).toBeLessThanOrEqual(Math.max(16_384, 2 * sent));
    }
    client.destroy();
    await eventually("it is given back", () => memory.held === 0);
  });

  test("that is used up turns away who needs more, whichever way it is framed", async () => {
    const memory = new Ledger(100_000);
    using server = serve(measure, memory);
    for (let round = 0; round < 3; round++) {
      using announced = await ClientConnection.open(server.port);
      expect((await announced.send(post(100_001)).response()).status).toBe(503);
      using chunked = await ClientConnection.open(server.port);
      chunked.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
      chunked.send(`186a1\r\n${"x".repeat(100_001)}\r\n0\r\n\r\n`);
      expect((await chunked.response()).status).toBe(503);
      using small = await ClientConnection.open(server.port);
      expect((await small.send(post(60_000)).response()).status).toBe(200);
    }
    await eventually("all is given back", () => memory.held === 0);
    expect(memory.most).toBeLessThanOrEqual(100_000);
  });

  test("bounds also what is sent ahead while a request is in progress", async () => {
    const memory = new Ledger(100_000);
    const pending: Exchange[] = [];
    using server = serve((exchange) => void pending.push(exchange), memory);
    const ahead = requestBytes("/", { headers: ["X-Fill", "x".repeat(20_000)] });
    const clients: ClientConnection[] = [];
    for (let i = 0; i < 6; i++) {
      const client = await ClientConnection.open(server.port);
      clients.push(client.send(requestBytes("/")));
      for (let n = 0; n < 10; n++) client.send(ahead);
    }
    await eventually("some are let go", () => clients.some(({ ended }) => ended !== null));
    expect(memory.most).toBeLessThanOrEqual(100_000);
    for (const client of clients) client.destroy();
    await eventually("all is given back", () => memory.held === 0);
  });

  test("comes back whatever clients do", async () => {
    const random = new Random();
    await random.run(async () => {
      const memory = new Ledger(500_000);
      using server = serve(measure, memory);
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          for (let round = 0; round < 15; round++) {
            const client = await ClientConnection.open(server.port);
            const bytes = Buffer.concat([post(random.below(200_000)), post(random.below(2_000))]);
            // All of it, or a part; with or without waiting for an answer.
            const all = random.below(2) === 0;
            client.send(all ? bytes : bytes.subarray(0, random.below(bytes.length)));
            if (all && random.below(2) === 0) await client.until((pending) => pending !== "");
            else if (random.below(2) === 0) await Bun.sleep(random.below(5));
            client.destroy();
          }
        }),
      );
      await eventually("all is given back", () => memory.held === 0);
      expect(memory.most).toBeGreaterThan(0);
    });
  });
});

describe("a refused request", () => {
  const refuse = (exchange: Exchange) => exchange.respond(429, [], null);

  test("whose body is there already leaves the connection open for the next one", async () => {
    using server = serve(refuse, new Ledger(0));
    using client = await ClientConnection.open(server.port);
    for (let i = 0; i < 3; i++) {
      expect((await client.send(post(10_000)).response()).status).toBe(429);
      expect((await client.send(requestBytes("/")).response()).status).toBe(429);
    }
    client.send(Buffer.concat([post(10), post(20), requestBytes("/")]));
    for (let i = 0; i < 3; i++) expect((await client.response()).status).toBe(429);
    expect(client.pending).toBe("");
  });

  test.each(["Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"])(
    "whose body is still under way, or chunked, closes it: %j",
    async (rest) => {
      using server = serve(refuse, new Ledger(0));
      using client = await ClientConnection.open(server.port);
      const { status, headers } = await client.send(`POST / HTTP/1.1\r\nHost: a\r\n${rest}`).response();
      expect([status, headers]).toEqual([429, expect.arrayContaining(["Connection", "close"])]);
      expect(await client.untilEnd()).toBe("fin");
    },
  );
});

test("every connection enters by the door once and leaves once, however it ends", async () => {
  let [inside, entered, idle] = [0, 0, 0];
  const door: ConnectionDoor = {
    enter() {
      inside++;
      entered++;
      return entered % 5 === 0 ? "refuse" : entered % 7 === 0 ? "close" : "serve";
    },
    leave: () => void inside--,
    waiting: ({ size }) => void (idle = size),
    forget() {},
  };
  using server = serve(measure, new Ledger(1_000_000), door);
  const opened = await Promise.allSettled(
    Array.from({ length: 70 }, () => ClientConnection.open(server.port)),
  );
  const clients = opened.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  await eventually("all have entered", () => entered === 70);
  clients.forEach((client, i) => {
    if (i % 4 === 0) client.destroy();
    else if (i % 4 === 1) client.send("garbage\r\n\r\n");
    else if (i % 4 === 2) client.send(post(10)).close();
    else client.send(requestBytes("/", { headers: ["Connection", "close"] }));
  });
  for (const client of clients) if (client.ended === null) await client.untilEnd();
  for (const client of clients) client.destroy();
  await eventually("all have left", () => inside === 0);
  expect([entered, idle]).toEqual([70, 0]);
});

test("a writer tells that its peer is gone, and not for a peer that is slow", () => {
  const takes = [3, 0, 2, -1];
  const socket = { write: () => takes.shift()! } as unknown as ConstructorParameters<typeof SocketWriter>[0];
  const writer = new SocketWriter(socket);
  expect([writer.send(Buffer.from("abc")), writer.gone]).toEqual([true, false]);
  expect([writer.send(Buffer.from("abc")), writer.gone]).toEqual([false, false]);
  expect([writer.drain(), writer.gone]).toEqual([false, false]);
  expect([writer.drain(), writer.gone]).toEqual([false, true]);
});
