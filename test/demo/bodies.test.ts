import { afterAll, describe, expect, test } from "bun:test";
import * as zlib from "node:zlib";

import { bodyPattern } from "../../src/demo/steps.ts";
import { startUpstream } from "../../src/demo/upstream.ts";
import { chatBody, exchangeToEnd, RawConnection, rawPost, until } from "./raw-client.ts";

const upstream = startUpstream({ name: "bodies" });
afterAll(() => upstream.stop());

const CHAT = "/v1/chat/completions";

function post(script: string, stream: boolean): Promise<Response> {
  return fetch(`${upstream.url}${CHAT}`, {
    method: "POST",
    headers: { "x-demo-script": script },
    body: JSON.stringify(chatBody(stream)),
    decompress: false,
  });
}

async function text(script: string, stream: boolean): Promise<string> {
  return (await post(script, stream)).text();
}

const decoders = {
  gzip: zlib.gunzipSync,
  br: zlib.brotliDecompressSync,
  zstd: zlib.zstdDecompressSync,
} as const;

const streamDecoders = {
  gzip: zlib.createGunzip,
  br: zlib.createBrotliDecompress,
  zstd: zlib.createZstdDecompress,
} as const;

describe("framing", () => {
  test.each([true, false])("does not change the body (streamed: %p)", async (stream) => {
    const plain = await text("", stream);
    for (const framing of ["chunked", "length", "close"]) {
      const response = await post(framing, stream);
      expect(await response.text()).toBe(plain);
      const length = framing === "length" ? String(Buffer.byteLength(plain)) : null;
      expect(response.headers.get("content-length")).toBe(length);
      expect(response.headers.get("transfer-encoding")).toBe(framing === "chunked" ? "chunked" : null);
      expect(response.headers.get("connection")).toBe(framing === "close" ? "close" : null);
    }
  });

  test("leaves a head alone that has no body", async () => {
    const head = await fetch(`${upstream.url}/v1/models`, { method: "HEAD" });
    const get = await fetch(`${upstream.url}/v1/models`);
    expect(head.headers.get("content-length")).toBe(String((await get.arrayBuffer()).byteLength));
    expect((await post("status=204", false)).status).toBe(204);
    const closed = await exchangeToEnd(
      upstream.port,
      "HEAD /v1/models HTTP/1.1\r\nHost: demo\r\nx-demo-script: close\r\n\r\n",
    );
    expect(closed.text).toEndWith("\r\n\r\n");
  });

  test("comes after an interim response on demand", async () => {
    const { text: all } = await exchangeToEnd(upstream.port, rawPost(CHAT, chatBody(false), "interim=103"));
    expect(all).toMatch(/^HTTP\/1.1 103 \r\n[^]*\r\n\r\nHTTP\/1.1 200 OK\r\n/);
  });
});

describe.each(["gzip", "br", "zstd"] as const)("a body in %s", (encoding) => {
  test("decodes to the plain one, whole or streamed, by any framing", async () => {
    for (const stream of [true, false]) {
      const plain = await text("", stream);
      for (const framing of ["", "; chunked", "; length", "; close", "; drip=50; drip-interval=0"]) {
        const response = await post(`encoding=${encoding}${framing}`, stream);
        expect(response.headers.get("content-encoding")).toBe(encoding);
        const bytes = Buffer.from(await response.arrayBuffer());
        expect(bytes.length).toBeLessThan(plain.length);
        expect(decoders[encoding](bytes).toString()).toBe(plain);
      }
    }
  });

  test("can be read up to the event where a stream hangs", async () => {
    const response = await post(`encoding=${encoding}; tokens=4; token-bytes=8; hang=mid-stream`, true);
    const decoder = streamDecoders[encoding]();
    let seen = "";
    decoder.on("data", (chunk: Buffer) => (seen += chunk.toString()));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    while (!seen.includes('" word..."')) {
      const { value } = await reader.read();
      await new Promise((resolve) => decoder.write(value, resolve));
    }
    expect(seen).toContain('" Every.."');
    expect(upstream.counts.inFlight).toBe(1);
    await reader.cancel();
    decoder.destroy();
    await until(() => upstream.counts.inFlight === 0);
  });
});

describe("drips", () => {
  test("cut the body into pieces with pauses, and change nothing", async () => {
    const plain = await text("tokens=3", true);
    const begun = performance.now();
    const dripped = await text("tokens=3; drip=100; drip-interval=3", true);
    expect(dripped).toBe(plain);
    const pauses = Math.floor(plain.length / 100) - 1;
    expect(performance.now() - begun).toBeGreaterThan(pauses * 2.5);
  });

  test("of one byte can be told apart on the wire", async () => {
    const request = rawPost(CHAT, chatBody(false), "drip=1; drip-interval=0; chunked; close");
    const { text: all } = await exchangeToEnd(upstream.port, request);
    const whole = await text("", false);
    expect(all.split("\r\n\r\n")[1]).toBe(whole);
    const chunked = rawPost(CHAT, chatBody(false), "drip=1; drip-interval=0; chunked; fin=idle");
    const { text: pieces } = await exchangeToEnd(upstream.port, chunked);
    expect(pieces.match(/\r\n1\r\n/g)?.length).toBe(Buffer.byteLength(whole));
  });
});

describe("a large body", () => {
  test("is the pattern, byte for byte, by any framing", async () => {
    const size = 3 * bodyPattern.length + 17;
    for (const framing of ["", "; chunked", "; close", "; encoding=zstd"]) {
      const response = await post(`body-bytes=${size}${framing}`, false);
      expect(response.headers.get("content-type")).toBe("application/octet-stream");
      let bytes = Buffer.from(await response.arrayBuffer());
      if (framing.includes("zstd")) bytes = zlib.zstdDecompressSync(bytes);
      expect(bytes.length).toBe(size);
      for (let at = 0; at < size; at += 997) expect(bytes[at]).toBe(bodyPattern[at % bodyPattern.length]);
    }
  });

  test("waits for a slow reader instead of filling the memory", async () => {
    const request = rawPost(CHAT, chatBody(false), "body-bytes=2000000000");
    const before = process.memoryUsage().rss;
    const connection = await RawConnection.open(upstream.port, request);
    await connection.until(({ bytes }) => bytes.length > 0);
    connection.pause();
    // Other requests are served meanwhile: the large one must be waiting, not busy.
    for (let i = 0; i < 50; i++) await text("", false);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
    expect(upstream.counts.inFlight).toBe(1);
    connection.close();
    await until(() => upstream.counts.inFlight === 0);
  });
});

describe("a raw response", () => {
  const RAW = "HTTP/1.1 299 Whatever\r\nX-Odd:  \x80\xff \r\n\r\nbody";
  const base64 = Buffer.from(RAW, "latin1").toString("base64");

  test("is sent as it is", async () => {
    const request = rawPost(CHAT, chatBody(false), `raw=${base64}`);
    expect(await exchangeToEnd(upstream.port, request)).toMatchObject({ text: RAW, end: "fin" });
  });

  test("can drip, and break off", async () => {
    const request = rawPost(CHAT, chatBody(false), `raw=${base64}; drip=7; drip-interval=1; reset=20`);
    expect(await exchangeToEnd(upstream.port, request)).toMatchObject({
      text: RAW.slice(0, 20),
      end: "reset",
    });
  });
});
