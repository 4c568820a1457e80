/** RFC 9110 5.6.2: what names of methods and fields are made of. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** A byte that no field line may hold: controls but the tab, DEL, and thereby any CR, LF or NUL (RFC 9110 5.5). */
export const NOT_FIELD_TEXT = /[^\t\x20-\x7e\x80-\xff]/;

/** Text without the blanks and tabs around it (RFC 9110 5.6.3 OWS); `trim()` would take NBSP and more. */
export function trimOws(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return from === 0 && to === text.length ? text : text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

const SPACE = 0x20;
const BYTE_MAX = 0xff;
const CR = 0x0d;
const LF = 0x0a;
const TOKEN_CODE = 1;
const TEXT_CODE = 2;
/** For each byte: may it stand in a token, in a field's text? A table, as this is asked for every byte that comes in. */
const CLASSES = new Uint8Array(256);
for (let code = 0; code < 256; code++) {
  const char = String.fromCharCode(code);
  CLASSES[code] = (TOKEN.test(char) ? TOKEN_CODE : 0) | (NOT_FIELD_TEXT.test(char) ? 0 : TEXT_CODE);
}

/** Where the token that begins at `at` ends. */
export function endOfToken(text: string, at: number): number {
  while ((CLASSES[text.charCodeAt(at)]! & TOKEN_CODE) !== 0) at++;
  return at;
}

/** Whether a text is a token. */
export function isToken(text: string): boolean {
  return text !== "" && endOfToken(text, 0) === text.length;
}

/**
 * Whether a text is so many lines, each with its CRLF, without a CR, LF or NUL anywhere else, and made of bytes. Of a head
 * that was put together this tells in one go that no part of it ends a line or begins another one.
 */
export function isLines(text: string, count: number): boolean {
  let ends = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= SPACE && code <= BYTE_MAX) continue;
    if (code === CR && text.charCodeAt(at + 1) === LF) {
      ends++;
      at++;
    } else if (code === CR || code === LF || code === 0 || code > BYTE_MAX) return false;
  }
  return ends === count && (count === 0 ? text === "" : text.endsWith("\r\n"));
}

/** Where the field text that begins at `at` ends: at the first control character, mostly the CR of its line. */
export function endOfText(text: string, at: number): number {
  while ((CLASSES[text.charCodeAt(at)]! & TEXT_CODE) !== 0) at++;
  return at;
}
