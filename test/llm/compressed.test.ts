import { describe, expect, test } from "bun:test";
import * as zlib from "node:zlib";

import type { ResponseHead, Verdict } from "../../src/llm/response-reader.ts";
import { type ResponseWatch, watchResponse } from "../../src/llm/response-watch.ts";
import { expected, GOLDEN, type Golden, learnt } from "../fixtures/streams/golden.ts";

type Flushing = zlib.Gzip | zlib.BrotliCompress | zlib.ZstdCompress;

const SSE: ResponseHead = { dialect: "openai-chat", status: 200, contentType: "text/event-stream" };
const JSON_BODY: ResponseHead = { ...SSE, contentType: "application/json" };

/** By name of the test: Content-Encoding, a packer that is flushed after every event, and one for all at once. */
const CODINGS: Record<string, readonly [string, () => Flushing, (bytes: Buffer) => Buffer]> = {
  gzip: ["GZIP", () => zlib.createGzip(), (bytes) => zlib.gzipSync(bytes)],
  deflate: ["deflate", () => zlib.createDeflate(), (bytes) => zlib.deflateSync(bytes)],
  "raw deflate": ["deflate", () => zlib.createDeflateRaw(), (bytes) => zlib.deflateRawSync(bytes)],
  br: ["br", () => zlib.createBrotliCompress(), (bytes) => zlib.brotliCompressSync(bytes)],
  zstd: ["zstd", () => zlib.createZstdCompress(), (bytes) => zlib.zstdCompressSync(bytes)],
};

const flushOf = (packer: Flushing): number =>
  packer instanceof zlib.BrotliCompress
    ? zlib.constants.BROTLI_OPERATION_FLUSH
    : packer instanceof zlib.ZstdCompress
      ? zlib.constants.ZSTD_e_flush
      : zlib.constants.Z_SYNC_FLUSH;

/** Packs a stream as a server does that sends each event at once: one chunk or more per event. */
async function packEvents(packer: Flushing, events: readonly string[]): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  packer.on("data", (chunk: Buffer) => chunks.push(chunk));
  for (const event of events) {
    packer.write(event);
    await new Promise<void>((resolve) => packer.flush(flushOf(packer), resolve));
  }
  const ended = new Promise((resolve) => packer.on("end", resolve));
  packer.end();
  await ended;
  return chunks;
}

const end = async (watch: ResponseWatch, clean = true): Promise<Verdict> => watch.end(clean);

async function learn(golden: Golden, coding: string, chunks: readonly Uint8Array[]): Promise<unknown> {
  const { dialect, contentType } = golden;
  const watch = watchResponse({ dialect, contentType, status: 200 }, coding);
  for (const chunk of chunks) {
    // Whoever feeds may use his memory again.
    const copy = new Uint8Array(chunk);
    watch.feed(copy);
    copy.fill(0);
  }
  const verdict = await end(watch);
  return learnt(watch.facts, verdict);
}

describe("compressed responses", () => {
  for (const [name, [coding, open, pack]] of Object.entries(CODINGS)) {
    test(`${name}: every golden response says what it says in clear text`, async () => {
      for (const golden of GOLDEN) {
        const events = await packEvents(open(), golden.text.split(/(?<=\n\n)/));
        expect(await learn(golden, coding, events)).toEqual(expected(golden));
        const whole = pack(Buffer.from(golden.text));
        expect(await learn(golden, coding, [whole])).toEqual(expected(golden));
        const bytes = Array.from(whole, (byte) => Uint8Array.of(byte));
        expect(await learn(golden, coding, bytes)).toEqual(expected(golden));
      }
    });

    test(`${name}: a stream that breaks off is truncated, and says what it said until then`, async () => {
      const golden = GOLDEN.find((one) => one.file === "vllm-chat-continuous.sse")!;
      const chunks = await packEvents(open(), golden.text.split(/(?<=\n\n)/).slice(0, 3));
      const watch = watchResponse(SSE, coding);
      // Without what the packer added at its end.
      for (const chunk of chunks.slice(0, -1)) watch.feed(chunk);
      expect(await end(watch, false)).toBe("truncated");
      expect(watch.facts.usage.outputTokens).toBe(2);
    });

    test(`${name}: rubbish is noted and has no verdict`, async () => {
      for (const head of [SSE, JSON_BODY]) {
        const watch = watchResponse(head, coding);
        for (let count = 0; count < 40; count++)
          watch.feed(Buffer.from("this was never compressed by anybody "));
        expect(await end(watch)).toBe("unknown");
        expect(watch.facts.undecodable).toBe(true);
      }
    });
  }
});

describe("unpacking", () => {
  test("an event is known when it comes, not at the end", async () => {
    const calls: string[] = [];
    const chunks = await packEvents(zlib.createGzip(), [
      'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
      "data: [DONE]\n\n",
    ]);
    const { promise, resolve } = Promise.withResolvers<void>();
    const watch = watchResponse(SSE, "gzip", {
      onFirstPayload: () => calls.push("payload"),
      onFirstContent: () => calls.push("content"),
      onTerminal: resolve,
    });
    for (const chunk of chunks.slice(0, -1)) watch.feed(chunk);
    await promise;
    expect(calls).toEqual(["payload", "content"]);
    expect(await end(watch, false)).toBe("complete");
  });

  test("a large JSON answer is unpacked as it comes", async () => {
    const data = Array.from({ length: 60_000 }, (_, at) => Math.sin(at));
    const body = JSON.stringify({ model: "m", data, usage: { prompt_tokens: 12 } });
    const packed = zlib.gzipSync(body);
    expect(packed.length).toBeGreaterThan(100_000);
    const watch = watchResponse({ ...JSON_BODY, dialect: "openai-embeddings" }, "gzip");
    for (let at = 0; at < packed.length; at += 16_384) watch.feed(packed.subarray(at, at + 16_384));
    expect(await end(watch)).toBe("complete");
    expect([watch.facts.model, watch.facts.usage.inputTokens]).toEqual(["m", 12]);
  });

  test("a body that unpacks to far too much is given up", async () => {
    for (const [coding, pack] of [
      ["gzip", zlib.gzipSync],
      ["zstd", zlib.zstdCompressSync],
    ] as const) {
      for (const head of [SSE, JSON_BODY]) {
        const watch = watchResponse(head, coding);
        watch.feed(pack(Buffer.alloc(48 * 1024 * 1024)));
        expect(await end(watch)).toBe("unknown");
        expect(watch.facts.undecodable).toBe(true);
      }
    }
  });

  test("bytes that come faster than they can be unpacked are given up, a large chunk is not", async () => {
    const packed = zlib.gzipSync(crypto.getRandomValues(new Uint8Array(65_536)));
    const patient = watchResponse(JSON_BODY, "gzip");
    patient.feed(Buffer.concat(Array.from({ length: 80 }, () => packed)));
    await end(patient);
    expect(patient.facts.undecodable).toBe(false);
    const hasty = watchResponse(JSON_BODY, "gzip");
    for (let count = 0; count < 200; count++) hasty.feed(packed);
    expect(await end(hasty)).toBe("unknown");
    expect(hasty.facts.undecodable).toBe(true);
  });

  test("a coding that is not known leaves the body opaque", async () => {
    for (const coding of ["compress", "gzip, br", "aes128gcm"]) {
      const watch = watchResponse(SSE, coding);
      watch.feed(Buffer.from("data: [DONE]\n\n"));
      expect(await end(watch)).toBe("unknown");
      expect(watch.facts.undecodable).toBe(true);
    }
    const plain = watchResponse(SSE, " Identity");
    plain.feed(Buffer.from("data: [DONE]\n\n"));
    expect(await end(plain)).toBe("complete");
  });

  test("nothing is called after cancel, and an empty body is no rubbish", async () => {
    let calls = 0;
    const packed = zlib.gzipSync("data: [DONE]\n\n");
    const watch = watchResponse(SSE, "gzip", { onTerminal: () => calls++ });
    watch.feed(packed);
    void Promise.resolve(watch.end(true)).then(() => calls++);
    watch.cancel();
    watch.cancel();
    // By the time that another one is through, this one would be.
    const other = watchResponse(SSE, "gzip");
    other.feed(packed);
    expect(await end(other)).toBe("complete");
    expect(calls).toBe(0);
    const empty = watchResponse(JSON_BODY, "gzip");
    expect(await end(empty)).toBe("unknown");
    expect(empty.facts.undecodable).toBe(false);
  });
});
