import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import type { Socket } from "bun";

import { CHUNK, chunked, head, JSON_BODY, ok } from "../fixtures/cases/response-case.ts";
import { RawClient } from "../http/raw-client.ts";
import { request } from "../http/serve.ts";
import { configOf } from "../support/config.ts";
import { canReadMemory, residentBytes } from "../support/process-memory.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";

const PIECE_BYTES = 65_536;
/** Enough to be seen in the memory of a process that keeps what it gets. */
const FLOOD_BYTES = 150_000_000;
const GROWTH_BYTES_MAX = 60_000_000;

const repeated = (text: string): string => text.repeat(Math.ceil(PIECE_BYTES / text.length));

/** What comes first, and what then comes without end. */
const FLOODS: readonly (readonly [name: string, first: string, endless: string])[] = [
  ["a status line", "HTTP/1.1 200 ", "a"],
  ["one field", "HTTP/1.1 200 OK\r\nX-Long: ", "a"],
  ["fields", "HTTP/1.1 200 OK\r\n", "X-A: b\r\n"],
  ["interim answers", "", head("HTTP/1.1 103 Early Hints", "Link: <a>")],
  ["empty lines", "", "\r\n"],
  ["a chunk's size", chunked(""), "0"],
  ["a chunk's extension", chunked(`${CHUNK}b;`), "a"],
  ["one trailer", chunked(`${CHUNK}0\r\nX-Long: `), "a"],
  ["trailers", chunked(`${CHUNK}0\r\n`), "X-A: b\r\n"],
  ["bytes behind the answer", ok([`Content-Length: ${JSON_BODY.length}`], JSON_BODY), "x"],
  ["the body of a 204", head("HTTP/1.1 204 No Content"), "x"],
];

let flood: { first: string; endless: Buffer } = { first: "", endless: Buffer.alloc(0) };
let sentBytes = 0;
const open = new Set<Socket>();
let proxy: RunningProxy;

/** Answers probes; else sends as fast as the bytes are taken, until enough were. */
const upstream = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open: (socket) => void open.add(socket),
    data(socket, chunk) {
      if (chunk.includes("/probe")) socket.write(head("HTTP/1.1 204 No Content"));
      else {
        socket.write(Buffer.from(flood.first, "latin1"));
        pour(socket);
      }
    },
    drain: (socket) => pour(socket),
    close: (socket) => void open.delete(socket),
    error: (socket) => void open.delete(socket),
  },
});

function pour(socket: Socket): void {
  while (sentBytes < FLOOD_BYTES && open.has(socket)) {
    // On from where the last piece was cut: what is endless is still right.
    const piece = flood.endless.subarray(sentBytes % flood.endless.length);
    const taken = socket.write(piece);
    sentBytes += Math.max(0, taken);
    if (taken < piece.length) return;
  }
}

beforeAll(async () => {
  const upstreams = { raw: `http://127.0.0.1:${upstream.port}` };
  const group = (transport: string) => ({ upstreams, client: { timeout: { request: 1 }, transport } });
  proxy = await startProxy({
    config: configOf({ sockets: group("socket"), fetch: group("fetch") }),
    workers: 1,
  });
});
afterAll(async () => {
  await proxy.stop();
  upstream.stop(true);
});

describe.each(["sockets", "fetch"])("an upstream that sends without end, by %s:", (forward) => {
  test.each(FLOODS)(
    "%s",
    async (_, first, endless) => {
      flood = { first, endless: Buffer.from(repeated(endless), "latin1") };
      sentBytes = 0;
      const before = canReadMemory ? residentBytes(proxy.pid) : 0;
      let most = before;
      const looking = setInterval(() => {
        if (canReadMemory) most = Math.max(most, residentBytes(proxy.pid));
      }, 10);
      const client = await RawClient.send(proxy.port(forward), request("POST /flood", [], "{}"));
      await client.untilAnswers(1);
      client.close();
      clearInterval(looking);
      expect(most - before).toBeLessThan(GROWTH_BYTES_MAX);
      // It is an error, breaks off, or was whole before the flood; the proxy serves on.
      for (const { status, body, complete } of client.answers())
        if (complete && status < 500) expect(["", JSON_BODY]).toContain(body);
      const next = await RawClient.send(proxy.port(forward), request("GET /probe"));
      expect(await next.untilAnswers(1)).toMatchObject([{ status: 204 }]);
      next.close();
    },
    20_000,
  );
});
