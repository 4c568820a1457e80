import { describe, expect, test } from "bun:test";

import type { BodyBytes, ConnectionDoor, Exchange } from "../../src/http/exchange.ts";
import type { IdleConnections } from "../../src/http/idle-connections.ts";
import { eventually } from "../support/wait.ts";
import { field } from "./answers.ts";
import { RawClient } from "./raw-client.ts";
import { echo, request, serve } from "./serve.ts";

/** Lets in so many, tells some more that there is no room, and the rest not even that. */
class Door implements ConnectionDoor {
  inside = 0;
  entered = 0;
  idle = 0;
  private readonly servedMax: number;
  private readonly refusedMax: number;

  constructor(servedMax: number, refusedMax: number) {
    this.servedMax = servedMax;
    this.refusedMax = refusedMax;
  }

  enter(): "serve" | "refuse" | "close" {
    this.entered++;
    this.inside++;
    if (this.inside <= this.servedMax) return "serve";
    return this.inside <= this.servedMax + this.refusedMax ? "refuse" : "close";
  }

  leave(): void {
    this.inside--;
  }

  forget(): void {}

  waiting({ size }: IdleConnections): void {
    this.idle = size;
  }
}

/** Memory for bodies, of which a test sees how much is held. */
class Memory implements BodyBytes {
  held = 0;
  most = 0;
  private readonly bytes: number;

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  take(count: number): boolean {
    if (this.held + count > this.bytes) return false;
    this.held += count;
    this.most = Math.max(this.most, this.held);
    return true;
  }

  giveBack(count: number): void {
    this.held -= count;
  }
}

describe("the door of a server", () => {
  test("serves, refuses with 503, or closes, and is told of every end", async () => {
    const door = new Door(1, 1);
    using server = serve(echo, { door });
    const served = await RawClient.send(server.port, request("GET /1"));
    await served.untilAnswers(1);
    const refused = await RawClient.send(server.port, request("GET /2"));
    await refused.until(() => false);
    expect(refused.answers()).toMatchObject([{ status: 503, complete: true }]);
    expect(field(refused.answers()[0], "connection")).toBe("close");
    const closed = await RawClient.send(server.port, request("GET /3"));
    await closed.untilEnd();
    expect(closed.text).toBe("");
    expect(server.refusals).toEqual([503]);
    refused.close();
    served.reset();
    await eventually("all have left", () => door.inside === 0);
    const next = await RawClient.send(server.port, request("GET /4"));
    expect(await next.untilAnswers(1)).toMatchObject([{ status: 200 }]);
    next.close();
    await eventually("all have left", () => door.inside === 0);
    expect(door.entered).toBe(4);
  });

  test("is told once of each connection, however it ends", async () => {
    const door = new Door(100, 0);
    using server = serve(
      (exchange) => {
        if (exchange.target === "/cut") exchange.cut();
        else if (exchange.target === "/reset") exchange.reset();
        else void echo(exchange);
      },
      { door, headTimeoutMs: 50, idleTimeoutMs: 50 },
    );
    const sent = [
      "",
      "GET / HT",
      "\0garbage",
      request("GET /"),
      request("GET /", ["Connection: close"]),
      request("GET /cut"),
      request("GET /reset"),
      request("POST /", [], "body").slice(0, -2),
    ];
    const clients = await Promise.all(sent.map((bytes) => RawClient.send(server.port, bytes)));
    await eventually("all are in", () => door.entered === sent.length);
    clients.at(-1)!.reset();
    await Promise.all(clients.map((client) => client.untilEnd()));
    await eventually("all have left", () => door.inside <= 0);
    await Bun.sleep(5);
    expect([door.inside, door.idle]).toEqual([0, 0]);
  });
});

describe("the memory for bodies", () => {
  /** Takes a body that comes in pieces, as only those are held here. */
  async function post(port: number, bodyBytes: number): Promise<RawClient> {
    const bytes = request("POST /", [], "x".repeat(bodyBytes));
    const client = await RawClient.send(port, bytes.slice(0, -10));
    await Bun.sleep(5);
    client.write(bytes.slice(-10));
    return client;
  }

  test("is held from a body's first piece to the end of the answer", async () => {
    const memory = new Memory(100_000);
    const opened = Promise.withResolvers<Exchange>();
    using server = serve(
      async (exchange) => {
        expect(await exchange.readBody(100_000)).toHaveLength(5000);
        opened.resolve(exchange);
      },
      { bodyBytes: memory },
    );
    const client = await post(server.port, 5000);
    const exchange = await opened.promise;
    expect(memory.held).toBeGreaterThanOrEqual(5000);
    exchange.respond(200, [], null);
    await client.untilAnswers(1);
    expect(memory.held).toBe(0);
    client.close();
  });

  test("is given back however the request ends", async () => {
    const memory = new Memory(1_000_000);
    const bodies: unknown[] = [];
    using server = serve(
      async (exchange) => {
        const body = await exchange.readBody(20_000);
        bodies.push(typeof body === "string" ? body : body.length);
        exchange.respond(200, [], null);
      },
      { bodyBytes: memory, stallTimeoutMs: 80 },
    );
    const chunked = request("POST /", ["Transfer-Encoding: chunked"]);
    const sent = [
      request("POST /", [], "x".repeat(9000)).slice(0, -1),
      `${chunked}1388\r\n${"x".repeat(5000)}\r\nzz\r\n`,
      `${chunked}7530\r\n${"x".repeat(30_000)}`,
    ];
    const clients = await Promise.all(sent.map((bytes) => RawClient.send(server.port, bytes)));
    const gone = await RawClient.send(server.port, sent[0]!);
    await eventually("its body is held", () => memory.most > 0);
    gone.reset();
    await Promise.all(clients.map((client) => client.untilEnd()));
    await eventually("all are told", () => bodies.length === 4);
    expect(bodies.toSorted()).toEqual(["closed", "malformed", "stalled", "too-large"]);
    expect(memory.held).toBe(0);
  });

  test("bounds what all bodies take together", async () => {
    const memory = new Memory(50_000);
    const exchanges: Exchange[] = [];
    let withoutRoom = 0;
    using server = serve(
      async (exchange) => {
        const body = await exchange.readBody(100_000);
        if (body === "no-room") {
          withoutRoom++;
          exchange.respond(503, [], null);
        } else exchanges.push(exchange);
      },
      { bodyBytes: memory },
    );
    const clients = await Promise.all(Array.from({ length: 8 }, () => post(server.port, 15_000)));
    await eventually("all are decided on", () => exchanges.length + withoutRoom === 8);
    expect(memory.most).toBeLessThanOrEqual(50_000);
    expect(exchanges.length).toBeGreaterThan(0);
    expect(withoutRoom).toBeGreaterThan(0);
    for (const exchange of exchanges) exchange.respond(200, [], null);
    for (const client of clients) {
      const [answer] = await client.untilAnswers(1);
      expect([200, 503]).toContain(answer!.status);
      client.close();
    }
    expect(memory.held).toBe(0);
  });
});

describe("the bounds of a head", () => {
  test("are those of the server", async () => {
    using server = serve(echo, { headBytesMax: 1000, headersMax: 5 });
    const cases: [string, number][] = [
      [request("GET /", ["X: a", "X: a", "X: a", "X: a"]), 200],
      [request("GET /", ["X: a", "X: a", "X: a", "X: a", "X: a"]), 431],
      [request("GET /", [`X: ${"a".repeat(900)}`]), 200],
      [request("GET /", [`X: ${"a".repeat(1000)}`]), 431],
    ];
    for (const [bytes, status] of cases) {
      const client = await RawClient.send(server.port, bytes);
      expect(await client.untilAnswers(1)).toMatchObject([{ status }]);
      client.close();
    }
  });
});
