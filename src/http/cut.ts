/** JavaScriptCore keeps the bytes of an array up to this size with the array itself, until somebody wants a view of them. */
const OWN_BYTES_MAX = 1000;

/**
 * The part of `bytes` from `from` to before `to`, as a view or, where that is cheaper, a copy: the first view of a small
 * array moves its bytes elsewhere and leaves the collector three more objects, which costs several times as much.
 */
export function cut(bytes: Buffer, from: number, to: number): Buffer;
export function cut(bytes: Uint8Array, from: number, to: number): Uint8Array;
export function cut(bytes: Uint8Array, from: number, to: number): Uint8Array {
  if (from === 0 && to === bytes.length) return bytes;
  return to - from > OWN_BYTES_MAX ? bytes.subarray(from, to) : Buffer.copyBytesFrom(bytes, from, to - from);
}
