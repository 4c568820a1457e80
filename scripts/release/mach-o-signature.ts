import { readMachO, withSignatureRoom } from "./mach-o.ts";

// Signature blobs are big-endian, unlike the rest of the file.
// https://github.com/apple-oss-distributions/xnu/blob/main/osfmk/kern/cs_blobs.h
const MAGIC_SUPER_BLOB = 0xfade0cc0;
const MAGIC_CODE_DIRECTORY = 0xfade0c02;
const SUPER_BLOB_BYTES = 20;
const CODE_DIRECTORY_BYTES = 88;
/** The version that tells of the executable segment. */
const VERSION = 0x20400;
/** Signed by nobody, and by a linker, so that `codesign` may replace it. */
const FLAGS = 0x2 | 0x20000;
const MAIN_BINARY = 1n;
const HASH_SHA256 = 2;
const HASH_BYTES = 32;
const PAGE_SHIFT = 12;
const PAGE_BYTES = 1 << PAGE_SHIFT;
const ALIGNMENT = 16;

/**
 * Signs a program for macOS ad hoc: no identity, but hashes of all pages, without which the system refuses to
 * run it. Replaces the signature that it has, such as one of what it was made from. Gives the signed file.
 */
export function signAdHoc(unsigned: Buffer, identifier: string): Buffer {
  const pages = Math.ceil(readMachO(unsigned).signatureOffset / PAGE_BYTES);
  const hashesAt = CODE_DIRECTORY_BYTES + identifier.length + 1;
  const directoryBytes = hashesAt + pages * HASH_BYTES;
  const bytes = Math.ceil((SUPER_BLOB_BYTES + directoryBytes) / ALIGNMENT) * ALIGNMENT;
  // The load commands are hashed too, so they come first.
  const file = withSignatureRoom(unsigned, bytes);
  const { signatureOffset, text } = readMachO(file);

  const blob = file.subarray(signatureOffset);
  blob.writeUInt32BE(MAGIC_SUPER_BLOB, 0);
  blob.writeUInt32BE(SUPER_BLOB_BYTES + directoryBytes, 4);
  blob.writeUInt32BE(1, 8);
  blob.writeUInt32BE(0, 12);
  blob.writeUInt32BE(SUPER_BLOB_BYTES, 16);

  const directory = blob.subarray(SUPER_BLOB_BYTES);
  const words = [
    MAGIC_CODE_DIRECTORY,
    directoryBytes,
    VERSION,
    FLAGS,
    hashesAt,
    CODE_DIRECTORY_BYTES,
    0,
    pages,
  ];
  words.forEach((word, i) => directory.writeUInt32BE(word, i * 4));
  directory.writeUInt32BE(signatureOffset, 32);
  directory.set([HASH_BYTES, HASH_SHA256, 0, PAGE_SHIFT], 36);
  directory.writeBigUInt64BE(BigInt(text.file), 64);
  directory.writeBigUInt64BE(BigInt(text.fileBytes), 72);
  directory.writeBigUInt64BE(MAIN_BINARY, 80);
  directory.write(identifier, CODE_DIRECTORY_BYTES, "latin1");
  for (let page = 0; page < pages; page++)
    directory.set(hashOfPage(file, page, signatureOffset), hashesAt + page * HASH_BYTES);
  return file;
}

/** Whether a program for macOS has a signature that covers all of it and fits what it holds. */
export function isSigned(file: Buffer): boolean {
  const { signatureOffset, signatureBytes } = readMachO(file);
  const blob = file.subarray(signatureOffset, signatureOffset + signatureBytes);
  if (signatureOffset + signatureBytes !== file.length || blob.length < SUPER_BLOB_BYTES) return false;
  if (blob.readUInt32BE(0) !== MAGIC_SUPER_BLOB) return false;
  for (let entry = 0; entry < blob.readUInt32BE(8); entry++) {
    const directory = blob.subarray(blob.readUInt32BE(16 + entry * 8));
    if (blob.readUInt32BE(12 + entry * 8) === 0 && directory.readUInt32BE(0) === MAGIC_CODE_DIRECTORY)
      return isDirectoryOf(directory, file, signatureOffset);
  }
  return false;
}

function isDirectoryOf(directory: Buffer, file: Buffer, codeBytes: number): boolean {
  const [hashesAt, pages, limit] = [16, 28, 32].map((at) => directory.readUInt32BE(at)) as [
    number,
    number,
    number,
  ];
  const [hashBytes, hashType, , pageShift] = directory.subarray(36, 40);
  if (hashBytes !== HASH_BYTES || hashType !== HASH_SHA256 || pageShift !== PAGE_SHIFT) return false;
  if (limit !== codeBytes || pages !== Math.ceil(codeBytes / PAGE_BYTES)) return false;
  for (let page = 0; page < pages; page++) {
    const at = hashesAt + page * HASH_BYTES;
    if (!directory.subarray(at, at + HASH_BYTES).equals(hashOfPage(file, page, codeBytes))) return false;
  }
  return true;
}

/** The last page counts only as far as it goes. */
function hashOfPage(file: Buffer, page: number, codeBytes: number): Buffer {
  const from = page * PAGE_BYTES;
  return new Bun.CryptoHasher("sha256")
    .update(file.subarray(from, Math.min(from + PAGE_BYTES, codeBytes)))
    .digest();
}
