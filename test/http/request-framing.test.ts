import { describe, expect, test } from "bun:test";

import { parseRequestHead } from "../../src/http/request-head.ts";

const HOST = "Host: llm.test";

/** A head as the connection hands it over: every line with its CRLF. */
function head(...lines: string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(""), "latin1");
}

function post(...fields: string[]): ReturnType<typeof parseRequestHead> {
  return parseRequestHead(head("POST /v1/chat HTTP/1.1", HOST, ...fields));
}

/** The status of the refusal, or `ok`. */
function verdict(result: ReturnType<typeof parseRequestHead>): number | "ok" {
  return "method" in result ? "ok" : result.status;
}

describe("the length of a body", () => {
  const cases: [string[], number | "refused"][] = [
    [[], 0],
    [["Content-Length: 0"], 0],
    [["content-LENGTH:57"], 57],
    [["Content-Length: 0057"], 57],
    [["Content-Length: 999999999999999"], 999_999_999_999_999],
    [["Content-Length: 9999999999999999"], "refused"],
    [["Content-Length: -0"], "refused"],
    [["Content-Length: +5"], "refused"],
    [["Content-Length: 5.0"], "refused"],
    [["Content-Length: 5e0"], "refused"],
    [["Content-Length: 0x5"], "refused"],
    [["Content-Length: 1 0"], "refused"],
    [["Content-Length: 5, 5"], "refused"],
    [["Content-Length: 5;"], "refused"],
    [['Content-Length: "5"'], "refused"],
    [["Content-Length: \xef\xbc\x95"], "refused"],
    [["Content-Length:"], "refused"],
    [["Content-Length: 5", "Content-Length: 5"], "refused"],
    [["Content-Length: 5", "content-length: 6"], "refused"],
    [["Content_Length: 5"], "refused"],
    [["Transfer-Encoding: chunked"], -1],
    [["TRANSFER-encoding:\tCHUNKED \t"], -1],
    [["Transfer_Encoding: chunked"], "refused"],
    [["Transfer-Encoding:"], "refused"],
    [["Transfer-Encoding: identity"], "refused"],
    [["Transfer-Encoding: gzip, chunked"], "refused"],
    [["Transfer-Encoding: chunked, chunked"], "refused"],
    [["Transfer-Encoding: chunked,"], "refused"],
    [['Transfer-Encoding: "chunked"'], "refused"],
    [["Transfer-Encoding: chunk"], "refused"],
    [["Transfer-Encoding: chunked\x85"], "refused"],
    [["Transfer-Encoding: \x0bchunked"], "refused"],
    [["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "refused"],
    [["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], "refused"],
    [["Content-Length: 5", "Transfer-Encoding: chunked"], "refused"],
    [["Transfer-Encoding: chunked", "Content-Length: 0"], "refused"],
  ];
  test.each(cases)("%j gives %p", (fields, expected) => {
    const result = post(...fields);
    expect("method" in result ? result.contentLength : "refused").toBe(expected);
    if (!("method" in result)) expect(result.status).toBe(400);
  });

  test("cannot be chunked in HTTP/1.0", () => {
    expect(verdict(parseRequestHead(head("POST / HTTP/1.0", HOST, "Transfer-Encoding: chunked")))).toBe(400);
  });
});

describe("what becomes of the connection", () => {
  const cases: [string, string[], boolean][] = [
    ["HTTP/1.1", [], true],
    ["HTTP/1.1", ["Connection: keep-alive"], true],
    ["HTTP/1.1", ["Connection: Close"], false],
    ["HTTP/1.1", ["Connection: x-a,\tCLOSE"], false],
    ["HTTP/1.1", ["Connection: keep-alive", "connection: close"], false],
    ["HTTP/1.1", ["Connection: Upgrade", "Upgrade: websocket"], false],
    ["HTTP/1.1", ["Connection: closed"], true],
    ["HTTP/1.0", [], false],
    ["HTTP/1.0", ["Connection: keep-alive"], false],
  ];
  test.each(cases)("%s with %j: kept is %p", (version, fields, keepAlive) => {
    expect(parseRequestHead(head(`GET / ${version}`, HOST, ...fields))).toMatchObject({ keepAlive });
  });
});

describe("an expectation", () => {
  test("of 100-continue is understood, in any case", () => {
    expect(post("Content-Length: 5", "Expect: 100-Continue")).toMatchObject({ expectsContinue: true });
  });

  test("of anything else is refused", () => {
    expect(verdict(post("Expect: 200-ok"))).toBe(417);
  });

  test("is none in HTTP/1.0, which knows no 100", () => {
    expect(parseRequestHead(head("POST / HTTP/1.0", "Expect: 100-continue"))).toMatchObject({
      expectsContinue: false,
    });
  });
});
