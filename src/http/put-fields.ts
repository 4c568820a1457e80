import type { HeaderList } from "./exchange.ts";
import { isTextByte, isTokenByte } from "./syntax.ts";

const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
const SPACE = 0x20;
/** What a line has beside name and value: a colon, a blank and its end. */
const LINE_EXTRA_BYTES = 4;

/** How many bytes `putFields` takes. */
export function bytesOfFields(headers: HeaderList): number {
  let sum = 0;
  for (let i = 0; i < headers.length; i += 2)
    sum += headers[i]!.length + headers[i + 1]!.length + LINE_EXTRA_BYTES;
  return sum;
}

/**
 * Puts fields as lines of a head (RFC 9112 5) at `at`. Gives the position behind them, or -1 when a name or value could
 * end its line or begin another one, is none, or holds a character that is no byte and would be cut to one.
 */
export function putFields(bytes: Uint8Array, at: number, headers: HeaderList): number {
  for (let i = 0; i < headers.length; i += 2) {
    const colon = putToken(bytes, at, headers[i]!);
    if (colon <= at) return -1;
    bytes[colon] = COLON;
    bytes[colon + 1] = SPACE;
    const value = headers[i + 1]!;
    at = colon + 2;
    for (let j = 0; j < value.length; j++) {
      const code = value.charCodeAt(j);
      if (!isTextByte(code)) return -1;
      bytes[at++] = code;
    }
    bytes[at++] = CR;
    bytes[at++] = LF;
  }
  return at;
}

/** Puts a token at `at`. Gives the position behind it, or -1 when it is none. */
export function putToken(bytes: Uint8Array, at: number, token: string): number {
  for (let i = 0; i < token.length; i++) {
    const code = token.charCodeAt(i);
    if (!isTokenByte(code)) return -1;
    bytes[at + i] = code;
  }
  return token === "" ? -1 : at + token.length;
}
