import { cut } from "./cut.ts";

/** What is larger goes out in several writes: then the copy costs more than the system calls. */
export const PACKET_BYTES_MAX = 65_536;

/**
 * Where small pieces are put together before they are written: one system call and one packet instead of several. One
 * for all connections of this thread, as a socket has copied what it takes when `write` returns.
 */
export const packet = Buffer.allocUnsafeSlow(PACKET_BYTES_MAX);

const CR = 0x0d;
const LF = 0x0a;
/** Digits of a size, four bits each. */
const CHUNK_DIGITS_MAX = 8;

/** Puts a head, a byte string, and a body behind it into the packet. Gives their length, or -1 when they do not fit. */
export function packHead(head: string, body: Uint8Array | null): number {
  const length = head.length + (body === null ? 0 : body.length);
  if (length > PACKET_BYTES_MAX) return -1;
  packet.write(head, "latin1");
  if (body !== null) packet.set(body, head.length);
  return length;
}

/**
 * The same with a piece of a body as a chunk (RFC 9112 7.1): the bytes from `start` to before `stop`, which are at least
 * one. `head` may be empty.
 */
export function packChunk(head: string, bytes: Uint8Array, start: number, stop: number): number {
  const length = stop - start;
  const digits = digitsOf(length);
  const from = head.length + digits + 2;
  const to = from + length;
  if (to + 2 > PACKET_BYTES_MAX) return -1;
  if (head !== "") packet.write(head, "latin1");
  for (let i = 0, size = length; i < digits; i++, size >>>= 4) packet[from - 3 - i] = hexDigit(size & 15);
  packet[from - 2] = CR;
  packet[from - 1] = LF;
  packet.set(cut(bytes, start, stop), from);
  packet[to] = CR;
  packet[to + 1] = LF;
  return to + 2;
}

/** How many hexadecimal digits the size of a chunk has. */
export function digitsOf(size: number): number {
  return CHUNK_DIGITS_MAX - (Math.clz32(size) >>> 2);
}

function hexDigit(value: number): number {
  return value < 10 ? 0x30 + value : 0x57 + value;
}
