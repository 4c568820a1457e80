// By hand, since an expression such as / +$/ looks at a run of blanks in the middle of a text again from each of them:
// that takes seconds where the text is a hostile one.

/** Text without the blanks and tabs around it (RFC 9110 5.6.3 OWS); `trim()` would take NBSP and more. */
export function trimOws(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return from === 0 && to === text.length ? text : text.slice(from, to);
}

/** Text without the slashes at its end. */
export function withoutTrailingSlashes(text: string): string {
  let to = text.length;
  while (to > 0 && text.charCodeAt(to - 1) === 0x2f) to--;
  return text.slice(0, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
