import { cut } from "./cut.ts";

/** What is larger goes out in several writes: then the copy costs more than the system calls. */
export const PACKET_BYTES_MAX = 65_536;

/**
 * Where messages are put together before they are written: one system call and one packet instead of several. One for
 * all connections of this thread, as a socket has copied what it takes when `write` returns. It is as large as the largest
 * head so far, and at least `PACKET_BYTES_MAX`.
 */
export const packet = { bytes: Buffer.allocUnsafeSlow(PACKET_BYTES_MAX) };

const CR = 0x0d;
const LF = 0x0a;
const DIGIT_0 = 0x30;
/** Digits of a size, four bits each. */
const CHUNK_DIGITS_MAX = 8;

/** Begins a packet whose head has at most so many bytes. Gives the memory for it. */
export function beginPacket(headBytesMax: number): Buffer {
  if (headBytesMax > packet.bytes.length) packet.bytes = Buffer.allocUnsafeSlow(headBytesMax);
  return packet.bytes;
}

/** Puts text of ASCII characters at `at`. Gives the position behind it. */
export function putText(bytes: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** Puts a whole number, not negative, at `at` in decimal digits. Gives the position behind it. */
export function putDecimal(bytes: Uint8Array, at: number, value: number): number {
  let end = at + 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) end++;
  for (let i = end - 1, rest = value; i >= at; i--, rest = Math.floor(rest / 10))
    bytes[i] = DIGIT_0 + (rest % 10);
  return end;
}

/** Puts a body behind the head, which ends at `at`. Gives the position behind it, or -1 when it does not fit. */
export function packBody(at: number, body: Uint8Array | null): number {
  if (body === null) return at;
  if (at + body.length > PACKET_BYTES_MAX) return -1;
  packet.bytes.set(body, at);
  return at + body.length;
}

/**
 * Puts a piece of a body as a chunk (RFC 9112 7.1) behind the head, which ends at `at`: the bytes from `from` to before
 * `to`, which are at least one. Gives the position behind it, or -1 when it does not fit.
 */
export function packChunk(at: number, piece: Uint8Array, from: number, to: number): number {
  const length = to - from;
  if (at + length + CHUNK_DIGITS_MAX + 4 > PACKET_BYTES_MAX) return -1;
  const { bytes } = packet;
  const start = putChunkSize(bytes, at, length);
  const end = start + length;
  bytes.set(cut(piece, from, to), start);
  bytes[end] = CR;
  bytes[end + 1] = LF;
  return end + 2;
}

/** Puts the line with the size of a chunk at `at`. Gives the position behind it. */
export function putChunkSize(bytes: Uint8Array, at: number, size: number): number {
  const end = at + digitsOf(size);
  for (let i = end - 1, rest = size; i >= at; i--, rest >>>= 4) bytes[i] = hexDigit(rest & 15);
  bytes[end] = CR;
  bytes[end + 1] = LF;
  return end + 2;
}

/** How many hexadecimal digits the size of a chunk has. */
export function digitsOf(size: number): number {
  return CHUNK_DIGITS_MAX - (Math.clz32(size) >>> 2);
}

function hexDigit(value: number): number {
  return value < 10 ? DIGIT_0 + value : 0x57 + value;
}
