import { describe, expect, test } from "bun:test";

import { isSigned, signAdHoc } from "../../scripts/release/mach-o-signature.ts";
import { readMachO } from "../../scripts/release/mach-o.ts";

const HEADER_BYTES = 32;
const SEGMENT_BYTES = 72;
const SIGNATURE_COMMAND_BYTES = 16;
/** Not a whole number of pages, so that the last one is a piece. */
const CODE_BYTES = 20_000;
const LINKEDIT_AT = 16_384;

interface Setup {
  /** Where a segment behind the last one begins in memory. */
  readonly nextSegment?: number;
}

/** The smallest program that has a place for a signature; what stands there is none. */
function makeMachO({ nextSegment }: Setup = {}): Buffer {
  const segments: [name: string, memory: number, memoryBytes: number, file: number, fileBytes: number][] = [
    ["__TEXT", 0x1_0000_0000, LINKEDIT_AT, 0, LINKEDIT_AT],
    ["__LINKEDIT", 0x1_0000_4000, 16_384, LINKEDIT_AT, CODE_BYTES - LINKEDIT_AT + 100],
  ];
  if (nextSegment !== undefined) segments.push(["__NEXT", nextSegment, 4096, 0, 0]);
  const file = Buffer.alloc(CODE_BYTES + 100, "code");
  file.writeUInt32LE(0xfeedfacf, 0);
  file.writeUInt32LE(segments.length + 1, 16);
  let at = HEADER_BYTES;
  for (const [name, memory, memoryBytes, offset, bytes] of segments) {
    file.fill(0, at, at + SEGMENT_BYTES);
    file.writeUInt32LE(0x19, at);
    file.writeUInt32LE(SEGMENT_BYTES, at + 4);
    file.write(name, at + 8, "latin1");
    [memory, memoryBytes, offset, bytes].forEach((value, i) =>
      file.writeBigUInt64LE(BigInt(value), at + 24 + i * 8),
    );
    at += SEGMENT_BYTES;
  }
  [0x1d, SIGNATURE_COMMAND_BYTES, CODE_BYTES, 100].forEach((value, i) =>
    file.writeUInt32LE(value, at + i * 4),
  );
  return file;
}

describe("a program for macOS", () => {
  test("with a signature of something else is not signed; once it is signed, it is", () => {
    const file = makeMachO();
    expect(isSigned(file)).toBe(false);
    const signed = signAdHoc(file, "llmproxyd");
    expect(isSigned(signed)).toBe(true);
    expect(signed.includes("llmproxyd\0")).toBe(true);
  });

  test("keeps its code, and its commands tell of the signature's new size", () => {
    const file = makeMachO();
    const signed = signAdHoc(file, "llmproxyd");
    const { signatureOffset, signatureBytes, linkEdit } = readMachO(signed);
    expect(signatureOffset).toBe(CODE_BYTES);
    expect(signatureOffset + signatureBytes).toBe(signed.length);
    expect(linkEdit.file + linkEdit.fileBytes).toBe(signed.length);
    const commandsEnd = HEADER_BYTES + 2 * SEGMENT_BYTES + SIGNATURE_COMMAND_BYTES;
    expect(signed.subarray(commandsEnd, CODE_BYTES).equals(file.subarray(commandsEnd, CODE_BYTES))).toBe(
      true,
    );
  });

  test("is not signed any more when one byte of it changes, or one is added", () => {
    const signed = signAdHoc(makeMachO(), "llmproxyd");
    for (const at of [24, 5_000, LINKEDIT_AT - 1, CODE_BYTES - 1]) {
      const changed = Buffer.from(signed);
      changed[at]! ^= 1;
      expect(isSigned(changed)).toBe(false);
    }
    expect(isSigned(Buffer.concat([signed, Buffer.from([0])]))).toBe(false);
  });

  test("may be signed again, with the same result", () => {
    const signed = signAdHoc(makeMachO(), "llmproxyd");
    expect(signAdHoc(signed, "llmproxyd").equals(signed)).toBe(true);
  });

  test("that has no room for a signature is refused", () => {
    expect(() => signAdHoc(makeMachO({ nextSegment: 0x1_0000_4800 }), "llmproxyd")).toThrow("no room");
    expect(() => signAdHoc(Buffer.alloc(100), "llmproxyd")).toThrow("not a program for macOS");
  });
});
