/** RFC 9110 5.6.2: what names of methods and fields are made of. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** A byte that no field line may hold: controls but the tab, DEL, and thereby any CR, LF or NUL (RFC 9110 5.5). */
export const NOT_FIELD_TEXT = /[^\t\x20-\x7e\x80-\xff]/;

const COLON_BLANK = ": ";
const CRLF = "\r\n";
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
 * Whether the field lines (RFC 9112 5) that were written into a head, the first at `at`, are just those of `headers`: no name or
 * value holds a line break, another character that it may not hold, or one that is no byte and would be cut to one.
 */
export function areFieldLines(head: string, at: number, headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const colon = at + headers[i]!.length;
    const lineEnd = colon + COLON_BLANK.length + headers[i + 1]!.length;
    if (colon === at || endOfToken(head, at) !== colon) return false;
    if (endOfText(head, colon) !== lineEnd) return false;
    at = lineEnd + CRLF.length;
  }
  return true;
}

/** Where the field text that begins at `at` ends: at the first control character, mostly the CR of its line. */
export function endOfText(text: string, at: number): number {
  while ((CLASSES[text.charCodeAt(at)]! & TEXT_CODE) !== 0) at++;
  return at;
}
