import { readChunkedBody } from "../http/chunked-reference.ts";
import type { InputEnd } from "../http/response-reading.ts";

/** What the bytes of a connection come to. The body counts only where the response is complete. */
export interface Verdict {
  readonly end: "complete" | "malformed" | "cut";
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
  /** The connection may be used for another request. */
  readonly reusable: boolean;
}

const HEAD_MAX = 65_536;
const FIELDS_MAX = 200;
const INTERIMS_MAX = 16;

const MALFORMED = verdict("malformed");
const CUT = verdict("cut");

function verdict(end: Verdict["end"]): Verdict {
  return { end, status: 0, headers: [], body: "", reusable: false };
}

/** Reads a response from the whole text, one rule of RFC 9112 after the other: slow, and easy to check by eye. */
export function referenceVerdict(text: string, inputEnd: InputEnd, isHead: boolean): Verdict {
  for (let interims = 0; ; interims++) {
    const end = text.indexOf("\r\n\r\n");
    if (end > HEAD_MAX || (end < 0 && !mayGoOn(text))) return MALFORMED;
    if (end < 0) return CUT;
    const head = readHead(text.slice(0, end).split("\r\n"));
    if (head === null || head.status === 101) return MALFORMED;
    text = text.slice(end + 4);
    if (head.status >= 200) return readBody(head, text, inputEnd, isHead);
    if (interims === INTERIMS_MAX) return MALFORMED;
    if (text === "") return CUT;
  }
}

interface Head {
  readonly status: number;
  readonly http11: boolean;
  readonly headers: readonly string[];
  /** Values by name in lower case. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
}

/** The beginning of a head: nothing in it may be wrong already. */
function mayGoOn(text: string): boolean {
  if (text.length >= HEAD_MAX + 4) return false;
  return "HTTP/1.".startsWith(text.slice(0, 7)) && !/\r[^\n]|^\n|[^\r]\n/.test(text);
}

function readHead([first, ...lines]: readonly string[]): Head | null {
  const status = /^HTTP\/1\.([01]) ([1-5][0-9][0-9])( [\t\x20-\x7e\x80-\xff]*)?$/.exec(first!);
  if (status === null || lines.length > FIELDS_MAX) return null;
  const headers: string[] = [];
  const fields = new Map<string, string[]>();
  for (const line of lines) {
    const field =
      /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)[ \t]*$/.exec(
        line,
      );
    if (field === null) return null;
    headers.push(field[1]!, field[2]!);
    const name = field[1]!.toLowerCase();
    fields.set(name, [...(fields.get(name) ?? []), field[2]!]);
  }
  const head = { status: Number(status[2]), http11: status[1] === "1", headers, fields };
  return isFramedOnce(head) ? head : null;
}

function isFramedOnce({ http11, fields }: Head): boolean {
  const lengths = fields.get("content-length") ?? [];
  const codings = fields.get("transfer-encoding") ?? [];
  if (lengths.length + codings.length > 1) return false;
  if (lengths.length === 1) return /^[0-9]{1,15}$/.test(lengths[0]!);
  return codings.length === 0 || (http11 && codings[0]!.toLowerCase() === "chunked");
}

function readBody(head: Head, rest: string, inputEnd: InputEnd, isHead: boolean): Verdict {
  const { status, headers, fields } = head;
  const length = fields.get("content-length")?.[0];
  const options = (fields.get("connection") ?? []).flatMap((value) => value.split(","));
  const keepAlive =
    head.http11 &&
    !options.some((option) => option.replace(/^[ \t]+|[ \t]+$/g, "").toLowerCase() === "close");
  const complete = (body: string, used: number, mayReuse: boolean): Verdict => ({
    end: "complete",
    status,
    headers,
    body,
    reusable: keepAlive && mayReuse && used === rest.length,
  });
  const cut: Verdict = { ...CUT, status, headers };
  if (isHead || status === 204 || status === 304) {
    const announced = fields.has("transfer-encoding") || Number(length ?? 0) > 0;
    return complete("", 0, status !== 204 || !announced);
  }
  if (fields.has("transfer-encoding")) {
    const read = readChunkedBody(rest);
    if (read === "bad") return { ...MALFORMED, status, headers };
    return read === "unfinished" ? cut : complete(read.payload, read.used, true);
  }
  if (length !== undefined) {
    const bytes = Number(length);
    return rest.length < bytes ? cut : complete(rest.slice(0, bytes), bytes, true);
  }
  return inputEnd === "fin" ? complete(rest, rest.length, false) : cut;
}
