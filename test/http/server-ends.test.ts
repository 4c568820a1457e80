import { describe, expect, test } from "bun:test";

import type { Exchange } from "../../src/http/exchange.ts";
import { eventually } from "../support/wait.ts";
import { field } from "./answers.ts";
import { RawClient } from "./raw-client.ts";
import { echo, request, serve, type TestServer } from "./serve.ts";

/** Serves, sends a request, and gives its exchange, to be answered by the test. */
async function exchangeOf(
  bytes = request("GET /"),
): Promise<{ server: TestServer; client: RawClient; exchange: Exchange } & Disposable> {
  const { promise, resolve } = Promise.withResolvers<Exchange>();
  const server = serve(resolve);
  const client = await RawClient.send(server.port, bytes);
  return { server, client, exchange: await promise, [Symbol.dispose]: () => server.close() };
}

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

test("other settings count from the next request of a connection on", async () => {
  using server = serve((exchange) => exchange.respond(200, [], bytes("before")));
  const client = await RawClient.send(server.port, request("GET /"));
  await client.untilAnswers(1);
  const times = {
    headTimeoutMs: 20_000,
    stallTimeoutMs: 20_000,
    writeTimeoutMs: 20_000,
    idleTimeoutMs: 20_000,
  };
  server.update({
    ...times,
    headersMax: 2,
    onRequest: (exchange) => exchange.respond(200, [], bytes("after")),
    onRefusal: (exchange, status, message) => exchange.respond(status, [], bytes(message)),
  });
  client.write(request("GET /"));
  await client.untilAnswers(2);
  client.write(request("GET /", ["A: 1", "B: 2"]));
  await client.untilAnswers(3);
  expect(client.answers().map(({ body }) => body)).toMatchObject([
    "before",
    "after",
    expect.stringContaining("2"),
  ]);
});

describe("an answer that breaks off", () => {
  test("before its head is sent has sent nothing", async () => {
    using open = await exchangeOf();
    open.exchange.start(200, [], null);
    open.exchange.reset();
    await open.client.untilEnd();
    expect(open.exchange.bytesOut).toBe(0);
    expect(open.client.received).toBe(0);
  });

  test("in chunks lacks the last one, behind all that was written", async () => {
    using open = await exchangeOf();
    open.exchange.start(200, [], null);
    open.exchange.write(bytes("one "));
    open.exchange.write(bytes("two"));
    open.exchange.cut();
    await open.client.untilEnd();
    expect(open.client.answers()).toMatchObject([{ body: "one two", complete: false }]);
  });

  test("of an announced length lacks bytes, cut or ended too early", async () => {
    for (const way of ["cut", "end"] as const) {
      using open = await exchangeOf();
      open.exchange.start(200, [], 10);
      open.exchange.write(bytes("only five".slice(0, 5)));
      open.exchange[way]();
      await open.client.untilEnd();
      expect(open.client.answers()).toMatchObject([{ body: "only ", complete: false }]);
    }
  });

  test("right after its head, or before, is no whole answer", async () => {
    for (const started of [true, false]) {
      using open = await exchangeOf();
      if (started) open.exchange.start(200, [], null);
      open.exchange.cut();
      await open.client.untilEnd();
      expect(open.client.answers().filter((answer) => answer.complete)).toEqual([]);
    }
  });

  test("is delivered up to the break even to a client that reads late", async () => {
    using open = await exchangeOf();
    open.client.pause();
    open.exchange.start(200, [], null);
    const piece = Buffer.alloc(1_000_000, "x");
    for (let i = 0; i < 12; i++) open.exchange.write(piece);
    open.exchange.cut();
    await Bun.sleep(20);
    open.client.resume();
    await open.client.untilEnd();
    expect(open.client.answers()[0]?.body.length).toBe(12_000_000);
    expect(open.client.answers()[0]?.complete).toBe(false);
  });

  test("by a reset is one", async () => {
    using open = await exchangeOf();
    open.exchange.start(200, [], null);
    open.exchange.write(bytes("x"));
    open.exchange.reset();
    await open.client.untilEnd();
    expect(open.client.end).toBe("reset");
  });
});

describe("an answer of announced length", () => {
  test("never has more, whatever is written", async () => {
    using open = await exchangeOf(request("GET /1") + request("GET /2"));
    open.exchange.start(200, [], 4);
    open.exchange.write(bytes("goodEVIL"));
    open.exchange.write(bytes("EVIL"));
    open.exchange.end();
    expect((await open.client.untilAnswers(1))[0]).toMatchObject({ body: "good", complete: true });
    expect(open.client.text).not.toContain("EVIL");
  });
});

describe("a client that leaves", () => {
  const PARTIAL = request("POST /", [], "all of the body").slice(0, -5);
  type Phase = [name: string, bytes: string, reach: (exchange: Exchange, client: RawClient) => unknown];
  const phases: Phase[] = [
    ["while its body is on the way", PARTIAL, (exchange) => exchange.readBody(1000)],
    ["while it waits", request("GET /"), () => {}],
    ["after the head of its answer", request("GET /"), (exchange) => exchange.start(200, [], null)],
    [
      "in the middle of its answer",
      request("GET /"),
      async (exchange, client) => {
        exchange.start(200, [], null);
        exchange.write(bytes("x"));
        await client.until(() => client.received > 0);
      },
    ],
    [
      "while it does not read",
      request("GET /"),
      (exchange, client) => {
        client.pause();
        exchange.start(200, [], null);
        while (exchange.write(Buffer.alloc(1_000_000)));
      },
    ],
    [
      "before it took all of a complete answer",
      request("GET /"),
      (exchange, client) => {
        client.pause();
        exchange.respond(200, [], Buffer.alloc(30_000_000));
      },
    ],
  ];
  for (const way of ["close", "reset"] as const) {
    test.each(phases)(`by a ${way} %s is told of once`, async (_, sent, reach) => {
      using open = await exchangeOf(sent);
      const { exchange, client } = open;
      let aborts = 0;
      let finishes = 0;
      exchange.onAbort = () => aborts++;
      exchange.onFinished = () => finishes++;
      const reached = reach(exchange, client);
      if (exchange.target === "/" && sent !== PARTIAL) await reached;
      expect(exchange.aborted).toBe(false);
      client[way]();
      await eventually("the exchange is told", () => aborts > 0);
      if (sent === PARTIAL) expect(await reached).toBe("closed");
      expect(exchange.aborted).toBe(true);
      // Nothing that is done with it now has an effect, and nothing throws.
      exchange.write(bytes("x"));
      exchange.respond(200, [], bytes("x"));
      exchange.end();
      exchange.cut();
      exchange.reset();
      // Time for whatever the socket still tells: another client is served meanwhile.
      const other = await RawClient.connect(open.server.port);
      await Bun.sleep(5);
      other.close();
      expect([aborts, finishes]).toEqual([1, 1]);
    });
  }

  test("after its answer is no abort", async () => {
    using open = await exchangeOf();
    const told: string[] = [];
    open.exchange.onAbort = () => told.push("abort");
    open.exchange.onFinished = () => told.push("finished");
    open.exchange.respond(200, [], bytes("x"));
    await open.client.untilAnswers(1);
    open.client.reset();
    await Bun.sleep(5);
    expect(told).toEqual(["finished"]);
  });
});

describe("an exchange that is over", () => {
  test("never reaches the next answer on its connection", async () => {
    const exchanges: Exchange[] = [];
    using server = serve((exchange) => void exchanges.push(exchange));
    const client = await RawClient.send(
      server.port,
      request("GET /1") + request("GET /2") + request("GET /3"),
    );
    const late = (exchange: Exchange) => {
      exchange.write(bytes("EVIL"));
      exchange.writeRaw(bytes("EVIL"));
      exchange.respond(200, [], bytes("EVIL"));
      exchange.start(200, [], null);
      exchange.end();
      exchange.cut();
      exchange.reset();
    };
    await eventually("the first request", () => exchanges.length === 1);
    exchanges[0]!.respond(200, [], bytes("one"));
    late(exchanges[0]!);
    await eventually("the second request", () => exchanges.length === 2);
    late(exchanges[0]!);
    exchanges[1]!.start(200, [], null);
    late(exchanges[0]!);
    exchanges[1]!.write(bytes("two"));
    late(exchanges[0]!);
    exchanges[1]!.end();
    await eventually("the third request", () => exchanges.length === 3);
    late(exchanges[0]!);
    late(exchanges[1]!);
    expect(await exchanges[1]!.readBody(10)).toBe("closed");
    exchanges[2]!.respond(200, [], bytes("three"));
    const answers = await client.untilAnswers(3);
    expect(answers.map((answer) => answer.body)).toEqual(["one", "two", "three"]);
    client.close();
  });
});

describe("a server that stops", () => {
  test("closes connections at rest, finishes the others, takes no more, and settles with the last one", async () => {
    const exchanges: Exchange[] = [];
    using server = serve((exchange) => {
      if (exchange.target === "/rest") void echo(exchange);
      else exchanges.push(exchange);
    });
    const resting = await RawClient.send(server.port, request("GET /rest"));
    await resting.untilAnswers(1);
    const waiting = await RawClient.send(server.port, request("GET /waiting") + request("GET /after"));
    const streaming = await RawClient.send(server.port, request("GET /streaming"));
    await eventually("both requests", () => exchanges.length === 2);
    const [first, second] = exchanges.toSorted((a, b) => b.target.localeCompare(a.target));
    // Its head is out: it told of no close.
    second!.start(200, [], null);
    second!.write(bytes("before "));
    await streaming.until(() => streaming.received > 0);

    let stopped = false;
    void server.stop().then(() => {
      stopped = true;
    });
    await resting.untilEnd();
    expect(resting.end).toBe("fin");
    expect(await RawClient.connect(server.port).catch(() => "refused")).toBe("refused");
    expect(stopped).toBe(false);

    first!.respond(200, [], bytes("done"));
    await waiting.untilEnd();
    expect(waiting.answers()).toMatchObject([{ body: "done", complete: true }]);
    expect(field(waiting.answers()[0], "connection")).toBe("close");
    expect(stopped).toBe(false);

    second!.write(bytes("after"));
    second!.end();
    await streaming.untilEnd();
    expect(streaming.answers()).toMatchObject([{ body: "before after", complete: true }]);
    await eventually("the server has stopped", () => stopped);
  });

  test("loses neither a connection that waits to be accepted nor a request on its way", async () => {
    using server = serve((exchange) => void echo(exchange));
    const resting = await RawClient.send(server.port, request("GET /first"));
    await resting.untilAnswers(1);
    // Set up by the kernel within the call, while the server, in the same thread, cannot have accepted them.
    const arriving = Array.from({ length: 20 }, () => RawClient.send(server.port, request("GET /new")));
    const stopped = server.stop();
    resting.write(request("GET /second"));
    for (const client of [resting, ...(await Promise.all(arriving))]) {
      await client.untilEnd();
      expect(client.answers().at(-1)).toMatchObject({ status: 200, complete: true });
      expect(field(client.answers().at(-1), "connection")).toBe("close");
    }
    await stopped;
  });

  test("answers a request that came before the end of the wait, however late it is read", async () => {
    using server = serve((exchange) => void echo(exchange));
    const resting = await RawClient.send(server.port, request("GET /first"));
    await resting.untilAnswers(1);
    const stopped = server.stop();
    resting.write(request("GET /second"));
    // The thread is held up for longer than connections may rest: when it goes on, request and time limit are both due.
    const endMs = performance.now() + 1500;
    while (performance.now() < endMs);
    await resting.untilEnd();
    expect(resting.answers().at(-1)).toMatchObject({ body: "GET /second ", complete: true });
    await stopped;
  });

  test("settles at once when nobody is there", async () => {
    using server = serve(echo);
    await server.stop();
  });

  test("by force closes every connection", async () => {
    using open = await exchangeOf();
    let aborts = 0;
    open.exchange.onAbort = () => aborts++;
    open.server.close();
    await open.client.untilEnd();
    expect(open.client.text).toBe("");
    expect(aborts).toBe(1);
  });
});
