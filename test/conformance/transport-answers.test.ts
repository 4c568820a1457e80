import { afterAll, describe, expect, test } from "bun:test";

import { RESPONSE_BODY_CASES } from "../fixtures/cases/response-body-cases.ts";
import { MARK, type ResponseCase, type Seen } from "../fixtures/cases/response-case.ts";
import { RESPONSE_HEAD_CASES } from "../fixtures/cases/response-head-cases.ts";
import { type Peer, startPeerServer } from "../support/peer-server.ts";
import { Random } from "../support/random.ts";
import { eventually } from "../support/wait.ts";
import { ask, type Asked, headOf, onRequests, Recording, requestTo, TRANSPORTS } from "./transports.ts";

const EVENTS = 'data: {"text":"gr\xc3\xbc\xc3\x9fe"}\n\n: comment\n\ndata: [DONE]\n\n';

/** What the server does with its next requests. */
let answer: (peer: Peer, request: string) => void = () => {};
/** Who asked last. */
let last: Peer;
const server = startPeerServer(
  onRequests((peer, request) => {
    last = peer;
    answer(peer, request);
  }),
);
afterAll(() => server.stop());

function chunk(payload: string): string {
  return `${payload.length.toString(16)}\r\n${payload}\r\n`;
}

describe.each(TRANSPORTS)("by %s", (name, open) => {
  const transport = open();
  afterAll(() => transport.close());

  test("a request goes out as it is given, with a length and a host", async () => {
    let seen = "";
    answer = (peer, request) => {
      seen = request;
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    };
    const headers = ["X-A", "caf\xe9", "X-B", "1", "Content-Type", "text/plain", "User-Agent", "T/1"];
    const request = requestTo(server.origin, {
      method: "PATCH",
      target: "/a%2Fb?q=1&q=%22",
      headers,
      body: "b\xf6dy",
    });
    expect((await ask(transport, request)).end).toBe("end");
    expect(seen).toStartWith("PATCH /a%2Fb?q=1&q=%22 HTTP/1.1\r\n");
    expect(seen).toEndWith("\r\n\r\nb\xf6dy");
    const lines = seen.slice(0, seen.indexOf("\r\n\r\n")).toLowerCase().split("\r\n");
    for (let i = 0; i < headers.length; i += 2)
      expect(lines).toContain(`${headers[i]}: ${headers[i + 1]}`.toLowerCase());
    expect(lines).toContain("content-length: 4");
    expect(lines.filter((line) => line.startsWith("host:"))).toEqual([`host: 127.0.0.1:${server.port}`]);
  });

  test("a host of the request's own replaces that of the origin", async () => {
    let seen = "";
    answer = (peer, request) => {
      seen = request;
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    };
    await ask(transport, requestTo(server.origin, { headers: ["Host", "model.test"] }));
    expect(seen.match(/^host: .*$/gim)).toEqual(["Host: model.test"]);
  });

  test("a stream cut at every offset arrives as it was sent, its first part at once", async () => {
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (let offset = 1; offset < EVENTS.length; offset++) {
      answer = (peer) => peer.send(head + chunk(EVENTS.slice(0, offset)));
      const response = await headOf(transport.send(requestTo(server.origin)));
      const recording = new Recording();
      response.body.pump(recording);
      await eventually("the first part is there", () => recording.bytes >= offset);
      expect(recording.text).toBe(EVENTS.slice(0, offset));
      last.send(`${chunk(EVENTS.slice(offset))}0\r\n\r\n`);
      await recording.done;
      expect(recording.text).toBe(EVENTS);
      expect(recording.ending).toBe("end");
    }
  });

  test.each(["length", "chunked", "close"])(
    "random bodies arrive unchanged (framing: %s)",
    async (framing) => {
      const random = new Random();
      await random.run(async () => {
        for (let round = 0; round < 60; round++) {
          const body = random
            .bytes(random.below(random.below(10) === 0 ? 2_000_000 : 5000))
            .toString("latin1");
          answer = (peer) => void sendFramed(peer, random, framing, body);
          const asked = await ask(transport, requestTo(server.origin));
          expect(asked.end).toBe("end");
          expect(asked.body === body).toBe(true);
        }
      });
    },
  );

  test.each([[0], [7], [65_536], [300_000]])(
    "a body of %d bytes can be read whole, up to a bound",
    async (bytes) => {
      answer = (peer) => peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n${"x".repeat(bytes)}`);
      const whole = await (await headOf(transport.send(requestTo(server.origin)))).body.whole(bytes);
      expect((whole as Uint8Array).length).toBe(bytes);
      if (bytes === 0) return;
      const call = transport.send(requestTo(server.origin));
      expect(await (await headOf(call)).body.whole(bytes - 1)).toBe("too-large");
      call.cancel();
      answer = (peer) =>
        peer.send(
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk("x".repeat(bytes))}0\r\n\r\n`,
        );
      const unannounced = transport.send(requestTo(server.origin));
      expect(await (await headOf(unannounced)).body.whole(bytes - 1)).toBe("too-large");
      unannounced.cancel();
    },
  );

  describe("an answer is understood", () => {
    for (const played of [...RESPONSE_HEAD_CASES, ...RESPONSE_BODY_CASES]) {
      if (played.then !== "silence") test(played.name, () => play(played));
    }
  });

  /** Answers with a case, and sees to it that the next answer is the right one. */
  async function play(played: ResponseCase): Promise<void> {
    answer = (peer) => {
      peer.send(played.bytes);
      if (played.then === "end") peer.end();
      // What was sent must be on its way, or the reset takes it back.
      if (played.then === "reset") setTimeout(() => peer.reset(), 10);
    };
    const method = played.method ?? "POST";
    const parts = method === "POST" ? { body: "{}" } : { method };
    const asked = await ask(transport, requestTo(server.origin, parts));
    const wanted = name === "fetch" ? (played.seenByFetch ?? played.seen) : played.seen;
    if (!wanted.some((seen) => fits(asked, seen))) throw new Error(`seen: ${JSON.stringify(asked)}`);
    expect(asked.body).not.toContain(MARK);

    const before = last;
    answer = (peer) => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nprobe");
    let probed: Asked;
    // A connection that ends just now may still be in the pool.
    do probed = await ask(transport, requestTo(server.origin));
    while (probed.end !== "end");
    expect(probed.body).toBe("probe");
    if (played.single === "always" || (played.single === "sockets" && name === "socket"))
      expect(last).not.toBe(before);
  }
});

function fits(asked: Asked, seen: Seen): boolean {
  if (seen === "broken") return asked.end !== "end";
  if (seen === "late" || asked.end !== "end") return false;
  // The fields of one connection are taken away elsewhere.
  const head = asked.headers.map((text, i) => (i % 2 === 0 ? `\r\n${text.toLowerCase()}: ` : text)).join("");
  const { status, body, has = [] } = seen;
  return asked.status === status && asked.body === body && has.every((text) => head.includes(text));
}

async function sendFramed(peer: Peer, random: Random, framing: string, body: string): Promise<void> {
  const field = { length: `Content-Length: ${body.length}`, chunked: "Transfer-Encoding: chunked" };
  const line = framing === "close" ? "Connection: close" : field[framing as "length" | "chunked"];
  peer.send(`HTTP/1.1 200 OK\r\n${line}\r\n\r\n`);
  for (let at = 0; at < body.length;) {
    const piece = body.slice(at, at + 1 + random.below(random.below(2) === 0 ? 50 : 200_000));
    at += piece.length;
    peer.send(framing === "chunked" ? chunk(piece) : piece);
    if (random.below(4) === 0) await Bun.sleep(0);
  }
  if (framing === "chunked") peer.send("0\r\n\r\n");
  if (framing === "close") peer.end();
}
