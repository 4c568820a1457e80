const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const BARE = /^[\x21\x23-\x7e]+$/;

/**
 * A JSON string of printable ASCII only, whatever the text holds: it can neither begin a line of its own nor steer a
 * terminal, and every byte of the text can be read back.
 */
export function jsonText(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Bare where it can be read back without doubt, else as a JSON string. */
export function fieldText(text: string): string {
  return BARE.test(text) ? text : jsonText(text);
}

/** Cuts a text that a client could make as long as it likes. */
export function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : text.slice(0, charsMax);
}
