import type { RequestHead } from "../../src/http/request-head.ts";

const METHOD = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/;
const FIELD =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[\t ]*$/;
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~!$&'()*+;=%-]+)(?::\d{1,5})?$/;
const SINGLES = [
  "host",
  "content-length",
  "transfer-encoding",
  "authorization",
  "x-api-key",
  "api-key",
  "x-goog-api-key",
  "content-type",
];

/**
 * Reads a request head in the slowest and plainest way, a rule after the other (RFC 9112). `text` ends in the CRLF of its last
 * line. Gives null for one that is to be refused.
 */
export function referenceHead(text: string, headersMax: number): RequestHead | null {
  const lines = text.split("\r\n");
  if (lines.pop() !== "" || lines.some((line) => /[\x00-\x08\x0a-\x1f\x7f]/.test(line))) return null;
  const [method, rawTarget, version, ...more] = lines.shift()!.split(" ");
  if (method === undefined || rawTarget === undefined || version === undefined || more.length > 0)
    return null;
  if (!METHOD.test(method) || !/^HTTP\/1\.[01]$/.test(version)) return null;
  const target = referenceTarget(rawTarget);
  if (target === null) return null;

  const fields = lines.map((line) => FIELD.exec(line));
  if (fields.includes(null) || fields.length > headersMax) return null;
  const headers = fields.flatMap((field) => [field![1]!, field![2]!]);
  const values = (name: string) =>
    fields.flatMap((field) => (field![1]!.toLowerCase() === name ? [field![2]!] : []));
  if (SINGLES.some((name) => values(name).length > 1)) return null;
  if (values("content_length").length > 0 || values("transfer_encoding").length > 0) return null;

  const http11 = version === "HTTP/1.1";
  const [host] = values("host");
  const [length] = values("content-length");
  const [coding] = values("transfer-encoding");
  const expect = values("expect").at(-1)?.toLowerCase();
  if (host === undefined ? http11 : !HOST.test(host)) return null;
  if (coding !== undefined && (!http11 || length !== undefined || coding.toLowerCase() !== "chunked"))
    return null;
  if (length !== undefined && !/^\d{1,15}$/.test(length)) return null;
  if (expect !== undefined && expect !== "100-continue") return null;
  const options = values("connection").flatMap((value) => value.toLowerCase().split(","));
  const has = (option: string) => options.some((given) => given.replace(/^[\t ]+|[\t ]+$/g, "") === option);
  return {
    method,
    target,
    headers,
    http11,
    contentLength: coding !== undefined ? -1 : Number(length ?? 0),
    keepAlive: http11 && !has("close") && !has("upgrade"),
    expectsContinue: http11 && expect !== undefined,
  };
}

/** Path and query of a target, in which nothing leads elsewhere. */
function referenceTarget(raw: string): string | null {
  let target = raw;
  const scheme = /^https?:\/\//i.exec(raw);
  if (scheme !== null) {
    const rest = raw.slice(scheme[0].length);
    const end = rest.search(/[/?#]/);
    if (!HOST.test(end < 0 ? rest : rest.slice(0, end))) return null;
    target = end < 0 ? "/" : rest.slice(end);
    if (!target.startsWith("/")) target = `/${target}`;
  }
  if (!/^\/[\x21-\x7e]*$/.test(target) || /[#\\]/.test(target) || target.startsWith("//")) return null;
  const [path] = target.split("?");
  // As an upstream sees them that unescapes before it splits, and strips parameters.
  const segments = path!
    .split(/\/|%2f|%5c/i)
    .map((segment) => segment.replace(/%2e/gi, ".").replace(/;.*/, ""));
  return segments.includes(".") || segments.includes("..") ? null : target;
}
