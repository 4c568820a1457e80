import { describe, expect, test } from "bun:test";

import { keyedHash } from "../../src/memory/keyed-hash.ts";
import { Random } from "../support/random.ts";

const WORD = 0xffff_ffffn;

/** HalfSipHash-c-d as its reference describes it: bytes in, little-endian words, 32 bits out. */
function halfSipHash(key: Uint8Array, message: Uint8Array, c: number, d: number): number {
  const word = (bytes: Uint8Array, at: number) =>
    [0, 1, 2, 3].reduce((sum, i) => sum | (BigInt(bytes[at + i] ?? 0) << BigInt(8 * i)), 0n);
  const rotl = (x: bigint, bits: bigint) => ((x << bits) | (x >> (32n - bits))) & WORD;
  const k0 = word(key, 0);
  const k1 = word(key, 4);
  let [v0, v1, v2, v3] = [k0, k1, 0x6c796765n ^ k0, 0x74656462n ^ k1];
  const rounds = (count: number) => {
    for (; count > 0; count--) {
      v0 = (v0 + v1) & WORD;
      v1 = rotl(v1, 5n) ^ v0;
      v0 = rotl(v0, 16n);
      v2 = (v2 + v3) & WORD;
      v3 = rotl(v3, 8n) ^ v2;
      v0 = (v0 + v3) & WORD;
      v3 = rotl(v3, 7n) ^ v0;
      v2 = (v2 + v1) & WORD;
      v1 = rotl(v1, 13n) ^ v2;
      v2 = rotl(v2, 16n);
    }
  };
  const take = (m: bigint) => {
    v3 ^= m;
    rounds(c);
    v0 ^= m;
  };
  const whole = message.length - (message.length % 4);
  for (let at = 0; at < whole; at += 4) take(word(message, at));
  take(word(message.subarray(whole), 0) | (BigInt(message.length & 255) << 24n));
  v2 ^= 0xffn;
  rounds(d);
  return Number(v1 ^ v3);
}

describe("the keyed hash", () => {
  test("is HalfSipHash-1-3 of eight bytes", async () => {
    const random = new Random();
    await random.run(async () => {
      for (let round = 0; round < 2_000; round++) {
        const [key, message] = [random.bytes(8), random.bytes(8)];
        const words = [
          key.readInt32LE(0),
          key.readInt32LE(4),
          message.readInt32LE(0),
          message.readInt32LE(4),
        ] as const;
        expect(keyedHash(...words)).toBe(halfSipHash(key, message, 1, 3));
      }
    });
  });

  test("spreads neighbours evenly over buckets", () => {
    for (const high of [0, ~0x20010db8]) {
      const counts = new Array<number>(256).fill(0);
      for (let low = 0; low < 65_536; low++) counts[keyedHash(1, 2, high, low) & 255]!++;
      // 256 to be expected in each, with a deviation of 16.
      expect(Math.min(...counts)).toBeGreaterThan(256 - 6 * 16);
      expect(Math.max(...counts)).toBeLessThan(256 + 6 * 16);
    }
  });

  test("tells nothing under one key about what falls together under another", () => {
    const together: number[] = [];
    for (let low = 0; together.length < 1_000; low++) {
      if ((keyedHash(1, 2, 0, low) & 255) === 7) together.push(low);
    }
    for (const [key0, key1] of [
      [1, 3],
      [2, 2],
      [1 << 31, 2],
    ] as const) {
      const counts = new Array<number>(256).fill(0);
      for (const low of together) counts[keyedHash(key0, key1, 0, low) & 255]!++;
      expect(Math.max(...counts)).toBeLessThan(25);
    }
  });
});
