import { describe, expect, test } from "bun:test";

import type { Exchange } from "../../src/http/exchange.ts";
import { RawClient } from "./raw-client.ts";
import { request, serve, untilSteady } from "./serve.ts";

/** What the system's buffers between two sockets of one machine may take, and a good deal more. */
const BUFFERED_BYTES_MAX = 16_000_000;
const PIECE = Buffer.alloc(65_536, "x");

/** Streams pieces as fast as the client takes them. */
function stream(exchange: Exchange, pieces: number): void {
  exchange.start(200, [], null);
  let left = pieces;
  const pump = () => {
    while (left > 0) {
      left--;
      if (!exchange.write(PIECE)) return;
    }
    exchange.end();
  };
  exchange.onDrain = pump;
  pump();
}

/** Reads on until that many bytes have come, then pauses. */
async function readUpTo(client: RawClient, bytes: number): Promise<void> {
  client.resume();
  await client.until(() => client.received >= bytes);
  client.pause();
}

/** Waits for an answer with a body of at least that many bytes; looks closer only then, as that takes its time. */
async function untilBody(client: RawClient, bytes: number): Promise<string | undefined> {
  await client.until(() => client.received > bytes);
  const [answer] = await client.untilAnswers(1);
  return answer?.body;
}

describe("a client that reads slowly", () => {
  test("holds the writer back, and gets everything once it reads", async () => {
    const pieces = 600;
    let exchange!: Exchange;
    using server = serve((opened) => {
      exchange = opened;
      stream(exchange, pieces);
    });
    const client = await RawClient.connect(server.port);
    client.pause();
    client.write(request("GET /"));
    await untilSteady(() => exchange?.bytesOut ?? 0);
    expect(exchange.bytesOut).toBeGreaterThan(0);
    expect(exchange.bytesOut).toBeLessThan(BUFFERED_BYTES_MAX);
    client.resume();
    expect((await untilBody(client, pieces * PIECE.length))?.length).toBe(pieces * PIECE.length);
    expect(client.received).toBe(exchange.bytesOut);
    client.close();
  }, 60_000);

  test("is told of by write() until it has taken everything, then onDrain is called", async () => {
    const opened = Promise.withResolvers<Exchange>();
    using server = serve(opened.resolve);
    const client = await RawClient.connect(server.port);
    client.pause();
    client.write(request("GET /"));
    const exchange = await opened.promise;
    let drains = 0;
    exchange.onDrain = () => drains++;
    exchange.start(200, [], null);
    while (exchange.write(PIECE));
    expect(exchange.write(Buffer.from("a"))).toBe(false);
    expect(exchange.write(Buffer.alloc(0))).toBe(false);
    expect(drains).toBe(0);
    client.resume();
    await client.until(() => client.received === exchange.bytesOut);
    while (drains === 0) await Bun.sleep(1);
    expect(exchange.write(Buffer.from("b"))).toBe(true);
    exchange.end();
    const [answer] = await client.untilAnswers(1);
    expect(answer?.body.endsWith("xab")).toBe(true);
    expect(drains).toBe(1);
    client.close();
  });

  test("gets whole answers of any size, in order, on a kept connection", async () => {
    const large = Buffer.alloc(20_000_000, "l");
    using server = serve((exchange) =>
      exchange.respond(200, [], exchange.target === "/large" ? large : Buffer.from(exchange.target)),
    );
    const client = await RawClient.connect(server.port);
    client.pause();
    client.write(["/1", "/large", "/2"].map((path) => request(`GET ${path}`)).join(""));
    await Bun.sleep(20);
    client.resume();
    await client.until(() => client.received > large.length + 100);
    await client.until(() => client.text.endsWith("/2"));
    expect(client.answers().map((answer) => answer.body.length)).toEqual([2, large.length, 2]);
    client.close();
  }, 60_000);

  test("is let go when it takes nothing for too long, but not while it takes something", async () => {
    const ends = new Map<string, string>();
    using server = serve(
      (exchange) => {
        exchange.onAbort = () => ends.set(exchange.target, "aborted");
        exchange.onFinished = () => ends.set(exchange.target, ends.get(exchange.target) ?? "finished");
        stream(exchange, 600);
      },
      { writeTimeoutMs: 800 },
    );
    const [slow, stuck] = await Promise.all([RawClient.connect(server.port), RawClient.connect(server.port)]);
    for (const client of [slow, stuck]) client.pause();
    slow.write(request("GET /slow"));
    stuck.write(request("GET /stuck"));
    const bodyBytes = 600 * PIECE.length;
    for (let bytes = 1_000_000; !ends.has("/stuck"); bytes = Math.min(bytes + 1_000_000, bodyBytes)) {
      await readUpTo(slow, bytes);
      await Bun.sleep(40);
    }
    expect(ends.get("/stuck")).toBe("aborted");
    expect(ends.get("/slow")).not.toBe("aborted");
    slow.resume();
    expect((await untilBody(slow, bodyBytes))?.length).toBe(bodyBytes);
    stuck.resume();
    await stuck.untilEnd();
    expect(stuck.end).toBe("reset");
    slow.close();
  }, 20_000);

  // Longer than a closing connection is read from, and than an idle one is kept.
  test("late gets the whole of an answer, on a kept connection and on a closing one", async () => {
    const body = Buffer.alloc(3_000_000, "x");
    using server = serve((exchange) => exchange.respond(200, [], body), { idleTimeoutMs: 20_000 });
    const clients = await Promise.all([RawClient.connect(server.port), RawClient.connect(server.port)]);
    for (const client of clients) client.pause();
    clients[0]!.write(request("GET /", ["Connection: close"]));
    clients[1]!.write(request("GET /"));
    await Bun.sleep(2500);
    for (const client of clients) {
      client.resume();
      expect((await untilBody(client, body.length))?.length).toBe(body.length);
      client.close();
    }
  }, 60_000);
});
