import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { bodyPattern } from "../../src/demo/steps.ts";
import { startUpstream } from "../../src/demo/upstream.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { Random } from "../support/random.ts";
import { startRawUpstream, type UpstreamConnection } from "../support/raw-upstream.ts";
import { type Framing, ResponseReader, valueOf } from "../support/response-reader.ts";
import { eventually } from "../support/wait.ts";

describe.each(TRANSPORTS)("over the transport %s", (transport) => {
  /** What the raw upstream does with its next requests. */
  let answer: (connection: UpstreamConnection) => void | Promise<void> = () => {};
  const raw = startRawUpstream((_, connection) => void answer(connection));
  const demo = startUpstream({ name: "demo" });
  let proxy: RunningProxy;

  beforeAll(async () => {
    proxy = await startProxy({
      config: configOf(
        {
          raw: { upstreams: { raw: raw.url } },
          demo: { upstreams: { demo: demo.url } },
          whole: { upstreams: { demo: demo.url }, client: { stream: false } },
        },
        transport,
      ),
    });
  });
  afterAll(async () => {
    await proxy.stop();
    raw.stop();
    demo.stop();
  });

  /** Response bytes with a body in pieces: what is to be written, one write for each. */
  function framed(framing: Framing, type: string, pieces: readonly Buffer[]): Buffer[] {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const field = { length: `Content-Length: ${length}`, chunked: "Transfer-Encoding: chunked" };
    const framingField = framing === "length" || framing === "chunked" ? field[framing] : "Connection: close";
    const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n${framingField}\r\n\r\n`);
    if (framing !== "chunked") return [head, ...pieces];
    const chunks = pieces.map((piece) =>
      Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]),
    );
    return [head, ...chunks, Buffer.from("0\r\n\r\n")];
  }

  /** Cuts bytes into pieces of random sizes, none empty. */
  function cut(random: Random, bytes: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = 1 + random.below(random.below(2) === 0 ? 50 : 20_000);
      pieces.push(bytes.subarray(at, at + size));
      at += size;
    }
    return pieces;
  }

  test.each<[Framing]>([["length"], ["chunked"], ["close"]])(
    "random bodies arrive unchanged (framing by the upstream: %s)",
    async (framing) => {
      const random = new Random();
      const types = ["application/json", "text/event-stream", "application/octet-stream", "audio/mpeg"];
      await random.run(async () => {
        for (let round = 0; round < 40; round++) {
          const body = random.bytes(random.below(4) === 0 ? random.below(200_000) : random.below(2000));
          const writes = framed(framing, types[random.below(types.length)]!, cut(random, body));
          answer = async (connection) => {
            for (const bytes of writes) {
              connection.send(bytes);
              if (random.below(3) === 0) await Bun.sleep(0);
            }
            if (framing === "close") connection.end();
          };
          const response = await ask(proxy.port("raw"), "/v1/chat/completions");
          expect(response.complete).toBe(true);
          expect(response.body.equals(body)).toBe(true);
          if (framing === "length")
            expect(valueOf(response.headers, "content-length")).toBe(`${body.length}`);
        }
      });
    },
  );

  test("a chunk whose size line is cut behind an extension arrives as a chunk", async () => {
    let upstream: UpstreamConnection | null = null;
    answer = (connection) => {
      upstream = connection;
      connection.send(
        'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nb;c="d',
      );
    };
    const client = await ClientConnection.open(proxy.port("raw"));
    client.send(requestBytes("/v1/chat/completions"));
    await eventually("the first chunk is there", () => client.pending.includes("hello"));
    // With what is left of its size line it is as long as one with a bare size.
    upstream!.send('"\r\n{"ok":true}\r\n');
    await eventually("the second chunk is there", () => client.pending.includes("true}"));
    upstream!.send("0\r\n\r\n");
    const response = await client.response();
    expect(response.complete).toBe(true);
    expect(response.body.toString()).toBe('hello{"ok":true}');
    client.close();
  });

  test("a stream cut at every offset arrives unchanged, and its first part at once", async () => {
    const events = Buffer.from(
      'event: message\r\ndata: {"text":"grüße, 你好 🙂"}\n\n: comment\n\ndata: {"a":1}\ndata: {"b":2}\n\ndata: [DONE]\n\n',
    );
    const client = await ClientConnection.open(proxy.port("raw"));
    for (let offset = 1; offset < events.length; offset++) {
      const parts = [events.subarray(0, offset), events.subarray(offset)];
      const [head, first, second, last] = framed("chunked", "text/event-stream", parts);
      let sendRest = () => {};
      answer = (connection) => {
        connection.send(Buffer.concat([head!, first!]));
        sendRest = () => connection.send(Buffer.concat([second!, last!]));
      };
      const pieces: Buffer[] = [];
      const reader = new ResponseReader("GET", (piece) => pieces.push(piece));
      client.send(requestBytes("/v1/chat/completions"));
      // The rest follows only when the first part has come through all by itself.
      await client.read(reader, () => reader.bodyBytes === offset);
      expect(Buffer.concat(pieces).toString("hex")).toBe(parts[0]!.toString("hex"));
      sendRest();
      await client.read(reader);
      expect(reader.complete).toBe(true);
      expect(Buffer.concat(pieces).equals(events)).toBe(true);
    }
    client.close();
  });

  const question = { model: "demo-1", messages: [{ role: "user", content: "Grüße nach Paris" }] };

  describe.each([["gzip"], ["br"], ["zstd"]])("a body with Content-Encoding %s", (encoding) => {
    test.each([
      ["a whole answer", false, "encoding"],
      ["a stream", true, "encoding"],
      ["a stream in pieces of one byte", true, "drip=1; drip-interval=0; encoding"],
    ])("passes as it is: %s", async (_, stream, script) => {
      const headers = ["x-demo-script", `${script}=${encoding}`, "Accept-Encoding", encoding];
      const parts = { headers, body: JSON.stringify({ ...question, stream }) };
      const direct = await ask(demo.port, "/v1/chat/completions", parts);
      for (const forward of ["demo", "whole"]) {
        const proxied = await ask(proxy.port(forward), "/v1/chat/completions", parts);
        expect(valueOf(proxied.headers, "content-encoding")).toBe(encoding);
        expect(proxied.complete).toBe(true);
        expect(proxied.body.equals(direct.body)).toBe(true);
      }
    });
  });

  test("a body of 16 MB arrives unchanged, with its length", async () => {
    const bytes = 16 * 1024 * 1024;
    const headers = ["x-demo-script", `body-bytes=${bytes}`];
    const response = await ask(proxy.port("demo"), "/v1/models", { headers });
    expect(valueOf(response.headers, "content-length")).toBe(String(bytes));
    expect(response.complete).toBe(true);
    for (let at = 0; at < bytes; at += bodyPattern.length) {
      const piece = response.body.subarray(at, at + bodyPattern.length);
      if (!piece.equals(bodyPattern.subarray(0, piece.length))) throw new Error(`wrong bytes from ${at} on`);
    }
  });

  test("a group that does not stream reads the whole answer first and gives its length", async () => {
    const parts = { body: JSON.stringify({ ...question, stream: true }) };
    const direct = await ask(demo.port, "/v1/chat/completions", parts);
    const proxied = await ask(proxy.port("whole"), "/v1/chat/completions", parts);
    expect(direct.framing).toBe("chunked");
    expect(proxied.framing).toBe("length");
    expect(proxied.body.equals(direct.body)).toBe(true);
  });

  test("a client of HTTP/1.0 gets the body without chunks, and the end of the connection ends it", async () => {
    const body = JSON.stringify({ ...question, stream: true });
    const direct = await ask(demo.port, "/v1/chat/completions", { body });
    using client = await ClientConnection.open(proxy.port("demo"));
    client.send(`POST /v1/chat/completions HTTP/1.0\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`);
    client.send(Buffer.from(body));
    const response = await client.response();
    expect(response.framing).toBe("close");
    expect(client.ended).toBe("fin");
    expect(response.body.equals(direct.body)).toBe(true);
  });
});
