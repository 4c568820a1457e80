import { describe, expect, test } from "bun:test";

import { field } from "./answers.ts";
import { RawClient } from "./raw-client.ts";
import { echo, request, serve } from "./serve.ts";

/** Sends a piece, waits for that long, and so on, until all is sent or the server has ended the connection. */
async function sendSlowly(client: RawClient, pieces: Iterable<string>, pauseMs: number): Promise<void> {
  for (const piece of pieces) {
    if (client.end !== null) return;
    client.write(piece);
    await Bun.sleep(pauseMs);
  }
}

describe("a request head", () => {
  test("that comes byte by byte must be in within its time, however steady", async () => {
    using server = serve(echo, { headTimeoutMs: 150 });
    const client = await RawClient.connect(server.port);
    await sendSlowly(client, request("GET /", [`X-Slow: ${"a".repeat(1000)}`]), 10);
    await client.untilEnd();
    expect(client.answers()).toMatchObject([{ status: 408, complete: true }]);
    expect(server.refusals).toEqual([408]);
    expect(client.end).toBe("fin");
  });

  test("has its time again on a kept connection, from its first byte on", async () => {
    using server = serve(echo, { headTimeoutMs: 150, idleTimeoutMs: 20_000 });
    const client = await RawClient.send(server.port, request("GET /1"));
    await client.untilAnswers(1);
    // Longer than the time for a head, at rest.
    await Bun.sleep(200);
    client.write(request("GET /2"));
    expect(await client.untilAnswers(2)).toHaveLength(2);
    client.write("GET /3 HTTP/1.1\r\n");
    await client.untilEnd();
    expect(client.answers().map((answer) => answer.status)).toEqual([200, 200, 408]);
  });

  test("that never begins ends the connection without an answer", async () => {
    using server = serve(echo, { headTimeoutMs: 60 });
    const client = await RawClient.connect(server.port);
    await client.untilEnd();
    expect(client.text).toBe("");
    expect(client.end).toBe("fin");
  });

  const large = "x".repeat(40_000);
  const tooLarge: [string, string][] = [
    ["a long target", request(`GET /?${large}`)],
    ["a long field", request("GET /", [`X-Long: ${large}`])],
    ["many fields", request("GET /", Array<string>(201).fill("X-A: b"))],
    ["an endless field", `GET / HTTP/1.1\r\nX-Long: ${large}`],
    ["an endless request line", large],
  ];
  test.each(tooLarge)("with %s is refused with 431, and the connection ends", async (_, bytes) => {
    using server = serve(echo);
    const client = await RawClient.send(server.port, bytes);
    await client.untilEnd();
    expect(client.answers()).toMatchObject([{ status: 431, complete: true }]);
    expect(field(client.answers()[0], "connection")).toBe("close");
  });

  test("may have 32 KB", async () => {
    using server = serve(echo);
    const client = await RawClient.send(server.port, request("GET /", [`X-Long: ${"x".repeat(32_500)}`]));
    expect(await client.untilAnswers(1)).toMatchObject([{ status: 200 }]);
    client.close();
  });

  const garbage: [string, string][] = [
    ["a TLS hello", "\x16\x03\x01\x00\x2f\x01\x00"],
    ["a SOCKS greeting", "\x05\x01\x00"],
    ["empty lines", "\r\n\r\n"],
    ["a bare line feed", "GET / HTTP/1.1\nHost: test\n\n"],
    ["an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ];
  test.each(garbage)("that is %s is refused at once, not after a time limit", async (_, bytes) => {
    using server = serve(echo);
    const client = await RawClient.send(server.port, bytes);
    await client.untilEnd();
    expect(client.answers()).toHaveLength(1);
    expect([400, 505]).toContain(client.answers()[0]!.status);
  });

  test("is judged alike, however it is cut", async () => {
    const heads: [string, number][] = [
      [request("GET /"), 200],
      [`\r\n${request("GET /")}`, 200],
      ["\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400],
      ["GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400],
      ["GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 400],
      ["GET / HTTP/1.1\r\n\r\n", 400],
      ["GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", 400],
      ["\x00\x01\x02\x03\r\n\r\n", 400],
    ];
    using server = serve(echo);
    for (const [bytes, status] of heads) {
      const cuts = Array.from({ length: bytes.length - 1 }, (_, at) => at + 1);
      const statuses = await Promise.all(
        cuts.map(async (cut) => {
          const client = await RawClient.send(server.port, bytes.slice(0, cut));
          await Bun.sleep(2);
          client.write(bytes.slice(cut));
          const [answer] = await client.untilAnswers(1);
          client.close();
          return answer?.status;
        }),
      );
      expect(statuses).toEqual(cuts.map(() => status));
    }
  });
});

describe("a request body", () => {
  test("that stalls is given up with 408; one that is slow but steady passes", async () => {
    const limits = { stallTimeoutMs: 500 };
    using server = serve(async (exchange) => {
      const body = await exchange.readBody(1000);
      exchange.respond(body === "stalled" ? 408 : 200, [], typeof body === "string" ? null : body);
    }, limits);
    const text = "slow and steady";
    const [steady, stalled, chunked] = await Promise.all([
      RawClient.send(server.port, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${text.length}\r\n\r\n`),
      RawClient.send(server.port, `${request("POST /", [], "cut off").slice(0, -3)}`),
      RawClient.send(server.port, `${request("POST /", ["Transfer-Encoding: chunked"])}5\r\nabc`),
    ]);
    // In all longer than the limit for a pause.
    await sendSlowly(steady, text, 50);
    expect(await steady.untilAnswers(1)).toMatchObject([{ status: 200, body: text }]);
    for (const client of [stalled, chunked]) {
      await client.untilEnd();
      expect(client.answers()).toMatchObject([{ status: 408 }]);
      expect(client.end).toBe("fin");
    }
    steady.close();
  });

  test("of an announced length over the bound is refused before it is sent", async () => {
    using server = serve(echo);
    const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1099511627776\r\n\r\n";
    const client = await RawClient.send(server.port, head);
    await client.untilEnd();
    expect(client.answers()).toMatchObject([{ status: 400, body: "too-large" }]);
  });

  test("in chunks is refused as soon as it passes the bound", async () => {
    using server = serve(async (exchange) => {
      const body = await exchange.readBody(10);
      exchange.respond(413, [], Buffer.from(String(body)));
    });
    const client = await RawClient.send(server.port, request("POST /", ["Transfer-Encoding: chunked"]));
    client.write("8\r\n12345678\r\n");
    client.write("ffff\r\nabc");
    await client.untilEnd();
    expect(client.answers()).toMatchObject([{ status: 413, body: "too-large" }]);
  });

  test("in broken chunks is refused, and nothing behind it is taken for a request", async () => {
    const targets: string[] = [];
    using server = serve((exchange) => {
      targets.push(exchange.target);
      return echo(exchange);
    });
    const chunks = `5\r\nhello\r\n0\n\r\n${request("GET /smuggled")}`;
    const client = await RawClient.send(
      server.port,
      request("POST /", ["Transfer-Encoding: chunked"]) + chunks,
    );
    await client.untilEnd();
    expect(client.answers()).toMatchObject([{ status: 400, body: "malformed" }]);
    expect(targets).toEqual(["/"]);
  });
});

describe("an answer to a body that nobody reads", () => {
  test("reaches a client that goes on sending, and what it sends is no request", async () => {
    const targets: string[] = [];
    using server = serve((exchange) => {
      targets.push(exchange.target);
      exchange.respond(401, [], Buffer.from("go away"));
    });
    const client = await RawClient.send(
      server.port,
      "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n",
    );
    // Sent whole: the server must take it, or closing would reset the connection before the answer is read.
    for (let i = 0; i < 20; i++) client.write(request("GET /inside").repeat(1000).padEnd(1_000_000, "x"));
    await client.untilEnd();
    expect(client.end).toBe("fin");
    const [answer, ...others] = client.answers();
    expect(answer).toMatchObject({ status: 401, body: "go away", complete: true });
    expect(field(answer, "connection")).toBe("close");
    expect(others).toEqual([]);
    expect(targets).toEqual(["/first"]);
  });

  test("is not waited for: a client that waits for its answer gets it", async () => {
    using server = serve((exchange) => exchange.respond(401, [], null));
    const client = await RawClient.send(
      server.port,
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    );
    expect(await client.untilAnswers(1)).toMatchObject([{ status: 401 }]);
    client.close();
  });
});
