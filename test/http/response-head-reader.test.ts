import { describe, expect, test } from "bun:test";

import {
  HEAD_BYTES_MAX,
  HEADERS_MAX,
  INTERIM_MAX,
  type ResponseHead,
  ResponseHeadReader,
} from "../../src/http/response-head-reader.ts";
import { everyByte, readInPieces } from "./response-reading.ts";

function read(text: string, isHead = false): ResponseHead | "more" | "malformed" {
  return new ResponseHeadReader().read(Buffer.from(text, "latin1"), isHead);
}

/** The head of a response with these field lines. */
function withFields(...lines: string[]): string {
  return `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
}

function headOf(text: string, isHead = false): ResponseHead {
  const head = read(text, isHead);
  if (typeof head === "string") throw new Error(`${head}: ${JSON.stringify(text)}`);
  return head;
}

describe("a response head", () => {
  test("gives its status and its fields as they came", () => {
    const text = withFields("X-Empty:", "x-A:b", "X-A:\t c d \t", "Set-Cookie: a=1", "Set-Cookie: \xe9\xff");
    expect(headOf(text)).toMatchObject({
      status: 200,
      headers: ["X-Empty", "", "x-A", "b", "X-A", "c d", "Set-Cookie", "a=1", "Set-Cookie", "\xe9\xff"],
    });
  });

  test.each(["HTTP/1.1 204 ", "HTTP/1.1 204", "HTTP/1.1 204 No \xe9 Content", "HTTP/1.0 204 x"])(
    "may begin with %j",
    (line) => {
      expect(headOf(`${line}\r\n\r\n`)).toMatchObject({ status: 204, headers: [] });
    },
  );

  const malformed = [
    "HTTP/1.1\r\n\r\n",
    "HTTP/1.1 \r\n\r\n",
    "HTTP/1.1 20\r\n\r\n",
    "HTTP/1.1 2000\r\n\r\n",
    "HTTP/1.1 200\t\r\n\r\n",
    "HTTP/1.1 600 X\r\n\r\n",
    "HTTP/1.1 099 X\r\n\r\n",
    "HTTP/1.1 2x0 X\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.1\t200 OK\r\n\r\n",
    "HTTP/1.2 200 OK\r\n\r\n",
    "HTTP/2 200\r\n\r\n",
    "http/1.1 200 OK\r\n\r\n",
    "\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 200 O\0K\r\n\r\n",
    "HTTP/1.1 200 O\rK\r\n\r\n",
    withFields(" X-A: b"),
    withFields("X-A : b"),
    withFields(": b"),
    withFields("X-A"),
    withFields("X\xe9: b"),
    withFields("X-A: b", "\tc"),
    withFields("X-A: b\x7f"),
    withFields("X-A: b\nX-B: c"),
    withFields("X-A: b\rX-B: c"),
  ];
  test.each(malformed)("is malformed: %j", (text) => {
    expect(read(text)).toBe("malformed");
    // Cut at every byte it is malformed too, and no later than whole.
    expect(readInPieces(text, everyByte(text), "open").end).toBe("malformed");
  });

  test("is found alike however it is cut", () => {
    const interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    const text = `${interim}${withFields("X-A: b", "Content-Length: 5")}hello`;
    const wanted = readInPieces(text, [], "open");
    expect(wanted).toMatchObject({ head: { status: 200, headers: ["X-A", "b", "Content-Length", "5"] } });
    expect(wanted).toMatchObject({ body: "hello", end: "complete", overrun: false });
    for (let at = 1; at < text.length; at++) expect(readInPieces(text, [at], "open")).toEqual(wanted);
    expect(readInPieces(text, everyByte(text), "open")).toEqual(wanted);
  });
});

describe("the end of a body", () => {
  const framings: [text: string, framing: ResponseHead["framing"], keepAlive: boolean][] = [
    [withFields("Content-Length: 7"), 7, true],
    [withFields("Content-Length: 007"), 7, true],
    [withFields("content-length: 0"), 0, true],
    [withFields("Content-Length: 999999999999999"), 999_999_999_999_999, true],
    [withFields("Transfer-Encoding: chunked"), "chunked", true],
    [withFields("TRANSFER-ENCODING: Chunked"), "chunked", true],
    [withFields(), "until-close", false],
    [withFields("Content-Length: 7", "Connection: close"), 7, false],
    [withFields("Content-Length: 7", "Connection: x , CLOSE"), 7, false],
    [withFields("Content-Length: 7", "Connection: keep-alive", "Connection: close"), 7, false],
    [withFields("Content-Length: 7", "Connection: closed, keep-alive"), 7, true],
    ["HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", 7, false],
    ["HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 7\r\n\r\n", 7, false],
    ["HTTP/1.1 204 X\r\n\r\n", "none", true],
    ["HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n", "none", true],
    ["HTTP/1.1 204 X\r\nContent-Length: 7\r\n\r\n", "none", false],
    ["HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n", "none", false],
    ["HTTP/1.1 304 X\r\nContent-Length: 7\r\n\r\n", "none", true],
  ];
  test.each(framings)("is told by %j", (text, framing, keepAlive) => {
    expect(headOf(text)).toMatchObject({ framing, keepAlive });
  });

  test.each([
    ["Content-Length: 7", "Content-Length: 7"],
    ["Content-Length: 7", "Content-Length: 8"],
    ["Content-Length: 7, 7"],
    ["Content-Length: -7"],
    ["Content-Length: +7"],
    ["Content-Length: 7x"],
    ["Content-Length: 0x7"],
    ["Content-Length: "],
    ["Content-Length: 1234567890123456"],
    ["Content-Length: 7", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Content-Length: 7"],
    ["Transfer-Encoding: gzip, chunked"],
    ["Transfer-Encoding: chunked, gzip"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: identity"],
    ["Transfer-Encoding: chunked;x"],
    ["Transfer-Encoding: "],
  ])("is in doubt with %j %j", (...lines) => {
    const text = withFields(...lines.map(String).filter((line) => line !== "undefined"));
    expect(read(text)).toBe("malformed");
    expect(read(text, true)).toBe("malformed");
  });

  test("is never chunked in HTTP/1.0", () => {
    expect(read("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")).toBe("malformed");
  });

  test("of the answer to a HEAD is that of its head, whatever the fields say", () => {
    for (const field of ["Content-Length: 7", "Transfer-Encoding: chunked", "X: y"])
      expect(headOf(withFields(field), true)).toMatchObject({ framing: "none", keepAlive: true });
  });

  test.each([
    ["timeout=5", 5000],
    ["timeout=5, max=100", 5000],
    ["max=100,timeout=120", 120_000],
    ["Timeout = 7", 7000],
    ["max=100", null],
    ["timeout=x", null],
    ["xtimeout=5", null],
  ])("says nothing of the connection's rest, but Keep-Alive: %s does (%p ms)", (value, keepAliveMs) => {
    expect(headOf(withFields("Content-Length: 0", `Keep-Alive: ${value}`)).keepAliveMs).toBe(keepAliveMs);
  });
});

describe("a head without end costs no more memory than its bound", () => {
  const filling = {
    "of one line": "x".repeat(1000),
    "of many lines": `X-A: ${"x".repeat(993)}\r\n`,
    "of interim responses": `HTTP/1.1 102 X\r\nX-A: ${"x".repeat(975)}\r\n\r\n`,
  };
  test.each(Object.entries(filling))("%s", (kind, piece) => {
    const reader = new ResponseHeadReader();
    const start = kind.includes("interim") ? "" : "HTTP/1.1 200 OK\r\nX-A: ";
    let taken = reader.read(Buffer.from(start), false) === "more" ? 0 : Number.NaN;
    while (reader.read(Buffer.from(piece), false) === "more") taken += piece.length;
    expect(taken).toBeLessThan(HEAD_BYTES_MAX + 2 * piece.length);
  });

  test("and may be as long as that", () => {
    const fits = withFields(`X-A: ${"x".repeat(HEAD_BYTES_MAX - 22)}`);
    expect(fits.length).toBe(HEAD_BYTES_MAX + 4);
    const longer = withFields(`X-A: ${"x".repeat(HEAD_BYTES_MAX - 21)}`);
    for (const cuts of [[], [30_000], [HEAD_BYTES_MAX], [HEAD_BYTES_MAX + 3]]) {
      expect(readInPieces(fits, cuts, "open").head?.status).toBe(200);
      expect(readInPieces(longer, cuts, "open").end).toBe("malformed");
    }
  });

  test(`with at most ${HEADERS_MAX} fields`, () => {
    const fields = (count: number) => withFields(...Array.from({ length: count }, (_, i) => `X-${i}: y`));
    expect(headOf(fields(HEADERS_MAX)).headers.length).toBe(2 * HEADERS_MAX);
    expect(read(fields(HEADERS_MAX + 1))).toBe("malformed");
  });

  test(`behind at most ${INTERIM_MAX} interim ones`, () => {
    const interims = (count: number) => "HTTP/1.1 100 Continue\r\n\r\n".repeat(count);
    expect(headOf(`${interims(INTERIM_MAX)}HTTP/1.1 204 X\r\n\r\n`).status).toBe(204);
    expect(read(`${interims(INTERIM_MAX + 1)}HTTP/1.1 204 X\r\n\r\n`)).toBe("malformed");
  });
});

test("what can be no head is told before more of it is in", () => {
  for (const start of ["X", "HTTP/2", "\x15\x03\x01", "HTTP/1.1 200 OK\nX", "HTTP/1.1 200 OK\rX", "\r\n"])
    expect(read(start)).toBe("malformed");
  for (const start of ["H", "HTTP/1.", "HTTP/1.1 200 OK\r", "HTTP/1.1 200 OK\r\nX"])
    expect(read(start)).toBe("more");
});

test("a reader that is reset knows nothing of the response before", () => {
  const reader = new ResponseHeadReader();
  reader.read(Buffer.from("HTTP/1.1 100 X\r\n\r\nHTTP/1.1 200 OK\r\nX-"), false);
  expect(reader.isUntouched()).toBe(false);
  reader.reset();
  expect(reader.isUntouched()).toBe(true);
  expect(reader.read(Buffer.from("HTTP/1.1 204 X\r\n\r\nrest"), false)).toMatchObject({ status: 204 });
  expect(reader.rest?.toString()).toBe("rest");
});
