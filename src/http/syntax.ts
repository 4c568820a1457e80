/** RFC 9110 5.6.2: what names of methods and fields are made of. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** A byte that no field line may hold: controls but the tab, DEL, and thereby any CR, LF or NUL (RFC 9110 5.5). */
export const NOT_FIELD_TEXT = /[^\t\x20-\x7e\x80-\xff]/;

const TOKEN_CLASS = 1;
const TEXT_CLASS = 2;
/** For each byte: may it stand in a token, in a field's value? A table, as this is asked for every byte of every head. */
const CLASSES = new Uint8Array(256);
for (let code = 0; code < 256; code++) {
  const char = String.fromCharCode(code);
  CLASSES[code] = (TOKEN.test(char) ? TOKEN_CLASS : 0) | (NOT_FIELD_TEXT.test(char) ? 0 : TEXT_CLASS);
}

/** Whether this may stand in a token; false also for what is no byte, and for what stands for none behind the last one. */
export function isTokenByte(code: number): boolean {
  return (CLASSES[code]! & TOKEN_CLASS) !== 0;
}

/** Whether this may stand in a field's value; false also for what is no byte, and for what stands for none behind the last one. */
export function isTextByte(code: number): boolean {
  return (CLASSES[code]! & TEXT_CLASS) !== 0;
}

/** Where the text that begins at `at` ends: at the first control character, mostly the CR of its line. */
export function endOfText(bytes: Uint8Array, at: number): number {
  while (isTextByte(bytes[at]!)) at++;
  return at;
}
