/**
 * HalfSipHash-1-3 of an 8-byte message under an 8-byte key, 32 bits out: who does not know the key cannot choose
 * messages that fall together. It is what Linux uses for its hash tables on 32-bit machines (hsiphash).
 * https://cr.yp.to/siphash/siphash-20120918.pdf, https://docs.kernel.org/security/siphash.html
 *
 * Takes key and message as pairs of 32-bit words and gives an integer from 0 to 2^32 - 1.
 */
export function keyedHash(key0: number, key1: number, message0: number, message1: number): number {
  let v0 = key0;
  let v1 = key1;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  // Three words in (the last holds the length), one round after each; then three rounds to finish.
  for (let round = 0; round < 6; round++) {
    const word = round === 0 ? message0 : round === 1 ? message1 : round === 2 ? 0x08000000 : 0;
    v3 ^= word;
    if (round === 3) v2 ^= 0xff;
    v0 = (v0 + v1) | 0;
    v1 = rotate(v1, 5) ^ v0;
    v0 = rotate(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotate(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotate(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotate(v1, 13) ^ v2;
    v2 = rotate(v2, 16);
    v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
