import { describe, expect, test } from "bun:test";

import { BodyBuffer } from "../../src/http/body-buffer.ts";
import { BodyShare } from "../../src/http/body-share.ts";
import type { BodyBytes } from "../../src/http/exchange.ts";
import { RequestBody } from "../../src/http/request-body.ts";
import { Random } from "../support/random.ts";

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const text = (body: Uint8Array | string): string =>
  typeof body === "string" ? `(${body})` : Buffer.from(body).toString("latin1");

/** So many bytes of memory, and no more. */
class Memory implements BodyBytes {
  left: number;

  constructor(bytes: number) {
    this.left = bytes;
  }

  take(count: number): boolean {
    if (count > this.left) return false;
    this.left -= count;
    return true;
  }

  giveBack(count: number): void {
    this.left += count;
  }
}

describe("a body buffer", () => {
  test("gives back what was added, in order, whatever the sizes", async () => {
    const random = new Random();
    await random.run(async () => {
      for (let round = 0; round < 20; round++) {
        const pieces = Array.from({ length: random.below(40) }, () => random.bytes(random.below(20_000)));
        const whole = Buffer.concat(pieces);
        const buffer = new BodyBuffer(whole.length, random.below(2) === 0 ? 0 : whole.length);
        for (const piece of pieces) expect(buffer.add(piece)).toBe(true);
        expect(Buffer.from(buffer.take()).equals(whole)).toBe(true);
      }
    });
  });

  test("takes exactly its bound, and leaves out what goes beyond", () => {
    const buffer = new BodyBuffer(5, 0);
    expect(buffer.add(bytes("abc"))).toBe(true);
    expect(buffer.add(bytes("def"))).toBe(false);
    expect(buffer.length).toBe(3);
    expect(buffer.add(bytes("de"))).toBe(true);
    expect(buffer.add(bytes("f"))).toBe(false);
    expect(buffer.add(bytes(""))).toBe(true);
    expect(text(buffer.take())).toBe("abcde");
  });

  test("keeps a copy, as the pieces are reused by who reads them", () => {
    const piece = bytes("abc");
    const buffer = new BodyBuffer(10, 3);
    buffer.add(piece);
    piece.fill(0);
    expect(text(buffer.take())).toBe("abc");
  });

  test("takes memory as bytes arrive, not as they are announced", () => {
    const before = process.memoryUsage().arrayBuffers;
    const buffers = Array.from({ length: 64 }, () => new BodyBuffer(1 << 28, 1 << 28));
    for (const buffer of buffers) buffer.add(bytes("x"));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1_048_576);
    expect(buffers.every((buffer) => buffer.length === 1)).toBe(true);
  });
});

describe("a request body", () => {
  test("of announced length takes that much of what arrives", async () => {
    const body = new RequestBody(5, 100);
    expect(body.feed(bytes("ab"))).toBeNull();
    expect(body.feed(bytes("cd"))).toBeNull();
    expect(body.feed(bytes("eGET /"))).toBe(1);
    expect(text(await body.whole)).toBe("abcde");
  });

  test("of announced length may fill its bound exactly", async () => {
    const body = new RequestBody(3, 3);
    expect(body.feed(bytes("abc"))).toBe(3);
    expect(text(await body.whole)).toBe("abc");
  });

  test("in chunks takes up to its end", async () => {
    const body = new RequestBody(-1, 5);
    expect(body.feed(bytes("3\r\nabc\r\n2\r"))).toBeNull();
    expect(body.feed(bytes("\nde\r\n0\r\n\r\nGET"))).toBe(10);
    expect(text(await body.whole)).toBe("abcde");
  });

  test("in chunks may be empty", async () => {
    const body = new RequestBody(-1, 5);
    expect(body.feed(bytes("0\r\n\r\n"))).toBe(5);
    expect(text(await body.whole)).toBe("");
  });

  test("in chunks is too large as soon as the bound is passed", async () => {
    const body = new RequestBody(-1, 5);
    expect(body.feed(bytes("4\r\nabcd\r\nff\r\n"))).toBeNull();
    expect(body.feed(bytes("ef"))).toBe(-1);
    expect(text(await body.whole)).toBe("(too-large)");
  });

  test("in chunks is malformed when the coding is violated", async () => {
    const body = new RequestBody(-1, 5);
    expect(body.feed(bytes("4\r\nabcdX"))).toBe(-1);
    expect(text(await body.whole)).toBe("(malformed)");
  });

  test("settles once: what ends it later changes nothing", async () => {
    const body = new RequestBody(3, 3);
    body.feed(bytes("abc"));
    expect(body.fail("closed")).toBe(-1);
    expect(text(await body.whole)).toBe("abc");
    const failed = new RequestBody(3, 3);
    failed.fail("stalled");
    failed.fail("closed");
    expect(text(await failed.whole)).toBe("(stalled)");
  });
});

describe("memory for bodies", () => {
  test("is taken for what is held, and no body is held without", async () => {
    const memory = new Memory(50_000);
    const fits = new RequestBody(40_000, 100_000, memory);
    expect(fits.feed(Buffer.alloc(40_000))).toBe(40_000);
    expect(await fits.whole).toHaveLength(40_000);
    expect(memory.left).toBeLessThanOrEqual(10_000);
    const before = memory.left;
    const starved = new RequestBody(40_000, 100_000, memory);
    expect(starved.feed(Buffer.alloc(20_000))).toBe(-1);
    expect(text(await starved.whole)).toBe("(no-room)");
    expect(memory.left).toBe(before);
  });

  test("is none taken for an announcement", () => {
    const memory = new Memory(50_000);
    const body = new RequestBody(10_000_000, 100_000_000, memory);
    expect(memory.left).toBe(50_000);
    expect(body.feed(Buffer.alloc(100))).toBeNull();
    expect(memory.left).toBeGreaterThan(30_000);
  });

  test("that one connection holds is given back as a whole, once", () => {
    const memory = new Memory(100);
    const share = new BodyShare(memory);
    expect(share.take(30)).toBe(true);
    expect(share.take(80)).toBe(false);
    expect(share.take(40)).toBe(true);
    share.giveBack(10);
    expect(memory.left).toBe(40);
    share.release();
    share.release();
    expect(memory.left).toBe(100);
  });
});
