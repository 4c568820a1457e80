import { describe, expect, test } from "bun:test";

import type { Exchange } from "../../src/http/exchange.ts";
import { field } from "./answers.ts";
import { RawClient } from "./raw-client.ts";
import { echo, request, serve, untilSteady } from "./serve.ts";

/** Serves, sends the bytes, and waits for that many answers. */
async function ask(bytes: string, count = 1, methods: readonly string[] = []) {
  using server = serve(echo);
  const client = await RawClient.send(server.port, bytes);
  const answers = await client.untilAnswers(count, methods);
  return { client, answers, server };
}

describe("a kept connection", () => {
  test("serves one request after the other, with bodies of both kinds", async () => {
    using server = serve(echo);
    const client = await RawClient.connect(server.port);
    const bodies = ["one", "", "three"];
    for (const [at, body] of bodies.entries()) {
      client.write(request(`POST /${at}`, [], body));
      const answers = await client.untilAnswers(at + 1);
      expect(answers.at(-1)).toMatchObject({ status: 200, body: `POST /${at} ${body}` });
      expect(field(answers.at(-1), "connection")).toBeNull();
    }
    client.write(request("POST /c", ["Transfer-Encoding: chunked"]) + "3\r\nabc\r\n0\r\n\r\n");
    expect((await client.untilAnswers(4)).at(-1)?.body).toBe("POST /c abc");
    expect(client.end).toBeNull();
    client.close();
  });

  test("is closed after the answer when the client asks for it, and what follows is not read", async () => {
    const bytes = request("GET /1", ["Connection: close"]) + request("GET /2");
    const { client } = await ask(bytes);
    await client.untilEnd();
    expect(client.end).toBe("fin");
    const [answer, ...others] = client.answers();
    expect(answer?.body).toBe("GET /1 ");
    expect(field(answer, "connection")).toBe("close");
    expect(others).toEqual([]);
  });

  test("is closed without a word when it rests too long", async () => {
    using server = serve(echo, { idleTimeoutMs: 60 });
    const client = await RawClient.send(server.port, request("GET /"));
    await client.untilEnd();
    expect(client.end).toBe("fin");
    expect(client.answers()).toHaveLength(1);
  });

  test("takes one empty line before a request line, as clients leave one behind", async () => {
    const { answers } = await ask(`\r\n${request("GET /1")}\r\n${request("GET /2")}`, 2);
    expect(answers.map((answer) => answer.body)).toEqual(["GET /1 ", "GET /2 "]);
  });
});

describe("pipelined requests", () => {
  test("are handed on one at a time and answered in order", async () => {
    let present = 0;
    const order: string[] = [];
    using server = serve(async (exchange) => {
      present++;
      expect(present).toBe(1);
      order.push(exchange.target);
      const body = await exchange.readBody(100);
      // The first takes the longest.
      await Bun.sleep(20 - 5 * order.length);
      present--;
      exchange.respond(200, [], body as Uint8Array);
    });
    const bytes = ["/a", "/b", "/c", "/d"]
      .map((path) => request(`POST ${path}`, [], `body of ${path}`))
      .join("");
    const client = await RawClient.send(server.port, bytes);
    const answers = await client.untilAnswers(4);
    expect(order).toEqual(["/a", "/b", "/c", "/d"]);
    expect(answers.map((answer) => answer.body)).toEqual(order.map((path) => `body of ${path}`));
    client.close();
  });

  test("by the thousand are answered, none lost, none twice", async () => {
    using server = serve(echo);
    const count = 3000;
    const bytes = Array.from({ length: count }, (_, at) =>
      request(`POST /${at}`, ["X-Pad: 0123456789"], `${at}`),
    );
    const client = await RawClient.send(server.port, bytes.join(""));
    await client.until(() => client.text.includes(`POST /${count - 1} ${count - 1}`));
    const answers = client.answers();
    expect(answers.map((answer) => answer.body)).toEqual(
      Array.from({ length: count }, (_, at) => `POST /${at} ${at}`),
    );
    client.close();
  }, 60_000);

  test("are held back, not gathered without bound, while one is being answered", async () => {
    const first = Promise.withResolvers<Exchange>();
    using server = serve(async (exchange) => {
      if (exchange.target === "/first") return first.resolve(exchange);
      const body = await exchange.readBody(1_000_000);
      exchange.respond(200, [], Buffer.from(`${exchange.target} ${body.length}`));
    });
    const client = await RawClient.send(server.port, request("GET /first"));
    const exchange = await first.promise;
    const mb = "x".repeat(1_000_000);
    client.write(Array.from({ length: 32 }, (_, at) => request(`POST /${at}`, [], mb)).join(""));
    await untilSteady(() => client.unsentBytes);
    // The system's buffers take a few MB.
    expect(client.unsentBytes).toBeGreaterThan(16_000_000);
    exchange.respond(200, [], Buffer.from("done"));
    const answers = await client.untilAnswers(33);
    expect(answers.slice(1).map((answer) => answer.body)).toEqual(
      Array.from({ length: 32 }, (_, at) => `/${at} 1000000`),
    );
    client.close();
  }, 60_000);
});

test("a piece that stands within other bytes, or is framed already, is framed as each client needs it", async () => {
  const chunk = Buffer.from("4\r\none \r\n");
  using server = serve((exchange) => {
    exchange.start(200, [], exchange.target === "/length" ? 10 : null);
    // With the head, and without.
    exchange.write(chunk, 3, 7, true);
    exchange.write(chunk, 3, 7, true);
    exchange.write(Buffer.from("<tw>"), 1, 3);
    exchange.end();
  });
  const client = await RawClient.send(server.port, request("GET /length") + request("GET /chunks"));
  await client.untilAnswers(2);
  expect(client.answers()).toMatchObject([
    { body: "one one tw", complete: true },
    { body: "one one tw", complete: true },
  ]);
  expect(client.text).toEndWith(`\r\n\r\n${chunk}${chunk}2\r\ntw\r\n0\r\n\r\n`);
  client.close();
  const old = await RawClient.send(server.port, "GET / HTTP/1.0\r\n\r\n");
  await old.untilEnd();
  expect(old.answers()).toMatchObject([{ body: "one one tw" }]);
});

describe("HTTP/1.0", () => {
  test("gets one answer and the end, whatever it asks for", async () => {
    const { client } = await ask("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n");
    await client.untilEnd();
    expect(client.answers()).toMatchObject([{ status: 200, body: "GET /a ", complete: true }]);
  });

  test("gets a streamed body of unknown length without chunks, up to the end of the connection", async () => {
    using server = serve((exchange) => {
      exchange.start(200, [], null);
      exchange.write(Buffer.from("one "));
      exchange.write(Buffer.from("two"));
      exchange.end();
    });
    const client = await RawClient.send(server.port, "GET / HTTP/1.0\r\n\r\n");
    await client.untilEnd();
    const [answer] = client.answers();
    expect(answer?.body).toBe("one two");
    expect(field(answer, "transfer-encoding")).toBeNull();
    expect(client.end).toBe("fin");
  });

  test("whose streamed answer is cut sees a reset, as a plain end would look whole", async () => {
    using server = serve((exchange) => {
      exchange.start(200, [], null);
      exchange.write(Buffer.from("one "));
      setTimeout(() => exchange.cut(), 5);
    });
    const client = await RawClient.send(server.port, "GET / HTTP/1.0\r\n\r\n");
    await client.untilEnd();
    expect(client.end).toBe("reset");
  });
});

describe("an answer without a body", () => {
  const methods = ["HEAD", "GET", "GET", "GET"];

  test("to HEAD announces the length and sends none, given whole or streamed", async () => {
    using server = serve((exchange) => {
      if (exchange.target === "/whole") return exchange.respond(200, [], Buffer.from("12345"));
      exchange.start(200, [], exchange.target === "/length" ? 5 : null);
      exchange.write(Buffer.from("12345"));
      exchange.end();
    });
    const heads = ["/whole", "/length", "/chunked"].map((path) => request(`HEAD ${path}`)).join("");
    const client = await RawClient.send(server.port, heads);
    const answers = await client.untilAnswers(3, ["HEAD", "HEAD", "HEAD"]);
    expect(answers.map((answer) => field(answer, "content-length"))).toEqual(["5", "5", null]);
    expect(answers.map((answer) => field(answer, "transfer-encoding"))).toEqual([null, null, "chunked"]);
    expect(client.text.includes("12345")).toBe(false);
    expect(client.end).toBeNull();
    client.close();
  });

  test("with status 204 or 304 has neither body nor length, whatever is written", async () => {
    using server = serve((exchange) => {
      const [, status, way] = exchange.target.split("/");
      if (way === "whole") return exchange.respond(Number(status), [], Buffer.from("EVIL"));
      exchange.start(Number(status), [], way === "length" ? 4 : null);
      exchange.write(Buffer.from("EVIL"));
      exchange.end();
    });
    const paths = ["204/whole", "204/length", "204/open", "304/whole", "304/length", "304/open"];
    const bytes = paths.map((path) => request(`GET /${path}`)).join("");
    const client = await RawClient.send(server.port, bytes);
    const answers = await client.untilAnswers(6);
    expect(answers.map((answer) => answer.status)).toEqual([204, 204, 204, 304, 304, 304]);
    for (const answer of answers) {
      expect(field(answer, "content-length")).toBeNull();
      expect(field(answer, "transfer-encoding")).toBeNull();
    }
    expect(client.text).not.toContain("EVIL");
    client.close();
  });

  test("may be empty, with a length of zero", async () => {
    using server = serve((exchange) => exchange.respond(200, [], null));
    const client = await RawClient.send(server.port, request("GET /"));
    const [answer] = await client.untilAnswers(1, methods.slice(1));
    expect(field(answer, "content-length")).toBe("0");
    client.close();
  });
});

describe("a client that expects a 100", () => {
  const expecting = (line: string, length: number) =>
    `${line}\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;

  test("gets it once the body is asked for, and is served then", async () => {
    const asked: Exchange[] = [];
    using server = serve((exchange) => void asked.push(exchange));
    const client = await RawClient.send(server.port, expecting("POST / HTTP/1.1", 5));
    while (asked.length === 0) await Bun.sleep(1);
    expect(client.text).toBe("");
    void echo(asked[0]!);
    await client.until(() => client.text.endsWith("\r\n\r\n"));
    expect(client.text).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    client.write("hello");
    expect(await client.untilAnswers(1)).toMatchObject([{ status: 200, body: "POST / hello" }]);
    client.close();
  });

  test("gets none when the body is refused, or there already, or has begun, or is empty", async () => {
    const { client: large } = await ask(expecting("POST / HTTP/1.1", 5_000_000));
    expect(large.answers()).toMatchObject([{ status: 400, body: "too-large" }]);
    const { client: eager } = await ask(`${expecting("POST / HTTP/1.1", 5)}hello`);
    const { client: empty } = await ask(expecting("POST / HTTP/1.1", 0));
    using server = serve(echo);
    const begun = await RawClient.send(server.port, `${expecting("POST / HTTP/1.1", 5)}he`);
    await Bun.sleep(5);
    begun.write("llo");
    expect(await begun.untilAnswers(1)).toMatchObject([{ body: "POST / hello" }]);
    begun.close();
    for (const client of [large, eager, empty, begun]) expect(client.text).not.toContain("HTTP/1.1 100");
  });

  test("gets none in HTTP/1.0", async () => {
    using server = serve(echo);
    const client = await RawClient.send(server.port, expecting("POST / HTTP/1.0", 5));
    client.write("hello");
    await client.untilEnd();
    expect(client.text).not.toContain("HTTP/1.1 100");
    expect(client.answers()).toMatchObject([{ status: 200, body: "POST / hello" }]);
  });
});
