import type { Random } from "../support/random.ts";

/** What a chunked body comes to: its payload and how many bytes it took, or why there is none. */
export type Reading = { readonly payload: string; readonly used: number } | "bad" | "unfinished";

const LINE_MAX = 1024;
const TRAILER_MAX = 8192;
const TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Reads a chunked body (RFC 9112 7.1) from the whole text, one rule after the other: slow, and easy to check by eye. */
export function readChunkedBody(text: string): Reading {
  let payload = "";
  let at = 0;
  for (;;) {
    const line = takeLine(text, at);
    if (typeof line === "string") return line;
    const size = sizeOf(line.line);
    if (size === null) return "bad";
    at = line.end;
    if (size === 0) break;
    payload += text.slice(at, at + size);
    if (text.length < at + size) return "unfinished";
    at += size;
    const after = text.slice(at, at + 2);
    if (!"\r\n".startsWith(after)) return "bad";
    if (after.length < 2) return "unfinished";
    at += 2;
  }
  for (let trailerBytes = 0; ;) {
    const line = takeLine(text, at);
    if (typeof line === "string") return line;
    at = line.end;
    if (line.line === "") return { payload, used: at };
    trailerBytes += line.line.length;
    if (!isField(line.line) || trailerBytes > TRAILER_MAX) return "bad";
  }
}

/** A line up to its CRLF. Bad: a CR or LF that is no part of one, or too long. */
function takeLine(text: string, at: number): { line: string; end: number } | "bad" | "unfinished" {
  for (let i = at; i < text.length; i++) {
    if (i - at >= LINE_MAX) return "bad";
    if (text[i] === "\n") return "bad";
    if (text[i] !== "\r") continue;
    if (i + 1 === text.length) return "unfinished";
    if (text[i + 1] !== "\n" || i + 2 - at > LINE_MAX) return "bad";
    return { line: text.slice(at, i), end: i + 2 };
  }
  return "unfinished";
}

/** chunk-size [chunk-ext], or null. */
function sizeOf(line: string): number | null {
  let at = 0;
  while ("0123456789abcdefABCDEF".includes(line[at] ?? "?")) at++;
  const digits = line.slice(0, at).replace(/^0+/, "");
  if (at === 0 || digits.length > 13) return null;
  while (at < line.length) {
    at = skipBlanks(line, at);
    if (line[at] !== ";") return null;
    at = skipBlanks(line, at + 1);
    const nameEnd = skipToken(line, at);
    if (nameEnd === at) return null;
    at = nameEnd;
    const equals = skipBlanks(line, at);
    if (line[equals] !== "=") continue;
    at = skipBlanks(line, equals + 1);
    const end = line[at] === '"' ? skipQuoted(line, at) : skipToken(line, at);
    if (end === null || end === at) return null;
    at = end;
  }
  return digits === "" ? 0 : Number.parseInt(digits, 16);
}

function skipBlanks(text: string, at: number): number {
  while (text[at] === " " || text[at] === "\t") at++;
  return at;
}

function skipToken(text: string, at: number): number {
  while (at < text.length && TOKEN_CHARS.includes(text[at]!)) at++;
  return at;
}

function skipQuoted(text: string, at: number): number | null {
  for (let i = at + 1; i < text.length; i++) {
    if (!isText(text[i]!)) return null;
    if (text[i] === '"') return i + 1;
    if (text[i] !== "\\") continue;
    i++;
    if (i < text.length && !isText(text[i]!)) return null;
  }
  return null;
}

function isField(line: string): boolean {
  const end = skipToken(line, 0);
  return end > 0 && line[end] === ":" && [...line].every(isText);
}

function isText(char: string): boolean {
  return char === "\t" || (char >= " " && char !== "\x7f");
}

const EXTENSIONS = ["", "", "", ";a", ";a=b", ' ; a = "q;\\"x" ;b', ";x=\t1"];
const TRAILERS = ["", "", "", "X-T: a\r\n", "A:\r\nB: \xff\r\n"];
const NOISE = [
  "\r",
  "\n",
  "\r\n",
  "0",
  "1",
  "f",
  "g",
  ";",
  "=",
  '"',
  "\\",
  " ",
  "\t",
  ":",
  "\0",
  "\x7f",
  "\xff",
  "X",
];

/** A chunked body, mostly whole and right, often with a few bytes changed; sometimes another request follows. */
export function randomChunkedBody(random: Random): string {
  const pick = <T>(list: readonly T[]) => list[random.below(list.length)]!;
  let text = "";
  for (let chunks = random.below(4); chunks > 0; chunks--) {
    const size = 1 + random.below(random.below(10) === 0 ? 300 : 9);
    const digits =
      random.below(3) === 0
        ? size.toString(16).toUpperCase().padStart(random.below(20), "0")
        : size.toString(16);
    const payload =
      random.below(4) > 0 ? "x\r\n0".repeat(size).slice(0, size) : random.bytes(size).toString("latin1");
    text += `${digits}${pick(EXTENSIONS)}\r\n${payload}\r\n`;
  }
  text += `0${pick(EXTENSIONS)}\r\n${pick(TRAILERS)}\r\n`;
  if (random.below(4) === 0) text += "GET / HTTP/1.1\r\n";
  for (let changes = random.below(4) - 1; changes > 0; changes--) {
    const at = random.below(text.length + 1);
    text = text.slice(0, at) + (random.below(3) === 0 ? "" : pick(NOISE)) + text.slice(at + random.below(2));
  }
  return random.below(8) === 0 ? text.slice(0, random.below(text.length + 1)) : text;
}
