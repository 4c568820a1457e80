const NEWLINE = 10;

/** Lines that end behind `from`. */
export function linesIn(bytes: Uint8Array, from = 0): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE, from); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
