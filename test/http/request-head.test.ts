import { describe, expect, test } from "bun:test";

import { mayBecomeHead, parseRequestHead } from "../../src/http/request-head.ts";

const HOST = "Host: llm.test";

/** A head as the connection hands it over: every line with its CRLF. */
function head(...lines: string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(""), "latin1");
}

function get(target: string, ...fields: string[]): ReturnType<typeof parseRequestHead> {
  return parseRequestHead(head(`GET ${target} HTTP/1.1`, HOST, ...fields));
}

/** The status of the refusal, or `ok`. */
function verdict(result: ReturnType<typeof parseRequestHead>): number | "ok" {
  return "method" in result ? "ok" : result.status;
}

describe("a request line", () => {
  const cases: [string, number | "ok"][] = [
    ["GET /v1/models HTTP/1.1", "ok"],
    ["GET / HTTP/1.0", "ok"],
    ["GET  /v1/models HTTP/1.1", 400],
    ["GET /v1/models  HTTP/1.1", 400],
    ["GET /v1/models HTTP/1.1 ", 400],
    [" GET /v1/models HTTP/1.1", 400],
    ["GET\t/v1/models\tHTTP/1.1", 400],
    ["GET /v1/models", 400],
    ["GET", 400],
    ["", 400],
    ["GET /v1/models HTTP/1.1 /x HTTP/1.1", 400],
    ["G(T /v1/models HTTP/1.1", 400],
    ["G\u00c9T /v1/models HTTP/1.1", 400],
    ["GET /v1/models HTTP/0.9", 505],
    ["GET /v1/models HTTP/1.2", 505],
    ["GET /v1/models HTTP/1.10", 505],
    ["GET /v1/models HTTP/2.0", 505],
    ["GET /v1/models http/1.1", 505],
    ["GET /v1/models HTTPS/1.1", 505],
    ["PRI * HTTP/2.0", 505],
    ["GET /v1/models HTTP/1.1\0", 400],
    ["GET /v1/\x02 HTTP/1.1", 400],
    ["GET /v1/\x7f HTTP/1.1", 400],
    ["GET /a\rb HTTP/1.1", 400],
    ["GET /a\nb HTTP/1.1", 400],
    ["CONNECT llm.test:443 HTTP/1.1", 405],
    ["CONNECT /a HTTP/1.1", 405],
    ["TRACE /a HTTP/1.1", 405],
    // A transport could make another method of these.
    ["connect /a HTTP/1.1", 501],
    ["get /a HTTP/1.1", 501],
    ["Post /a HTTP/1.1", 501],
    ["BREW /a HTTP/1.1", 501],
    ["X'Y /a HTTP/1.1", 501],
    ...["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map((method): [string, "ok"] => [
      `${method} /a HTTP/1.1`,
      "ok",
    ]),
  ];
  test.each(cases)("%j gives %p", (line, expected) => {
    expect(verdict(parseRequestHead(head(line, HOST)))).toBe(expected);
  });
});

describe("a target", () => {
  const kept = [
    "/",
    "/?",
    "/v1/models?x=%7e&y=a/../b",
    "/v1/models//gpt",
    "/a%2Fb%20c",
    "/v1/models/a:b@c;d=e,f",
    "/a/...",
    "/a/..b",
    "/..a/b",
    "/a/%2e%2e%2e",
    "/a%2F..b/c..%2Fd",
    "/a/b..;c",
    "/a?..%2f",
    "/a?/../..",
  ];
  test.each(kept)("%s is kept as sent", (target) => {
    expect(get(target)).toMatchObject({ target });
  });

  const refused = [
    "*",
    "v1/models",
    "@evil.test/v1",
    "?x",
    "/a#b",
    "/a?b#c",
    "/\\evil.test",
    "//evil.test/v1",
    "//",
    "http://llm.test//evil.test/v1",
    "/caf\u00e9",
    "/v1/../admin",
    "/v1/..",
    "/./a",
    "/.",
    "/a/%2e%2e/b",
    "/a/.%2E",
    "/a/%2E./b?c",
    "/a/..%2fb",
    "/a%2F%2e%2E%2fb",
    "/a%5c..",
    "/a/..%5Cb",
    "/a/..;/b",
    "/a/.;x=1?c",
    "file:///etc/passwd",
    "ftp://llm.test/",
    "http:/llm.test/",
    "http://",
    "http:///v1",
    "http://user@llm.test/v1",
    "http://llm.test:80@evil.test/v1",
    "http://llm.test\\evil/",
    "http://llm.test/../x",
    "http://llm.test:port/",
  ];
  test.each(refused)("%s is refused", (target) => {
    expect(verdict(get(target))).toBe(400);
  });

  const absolute: [string, string][] = [
    ["http://other.test/v1/models?x", "/v1/models?x"],
    ["HTTPS://other.test:8443/a", "/a"],
    ["http://other.test", "/"],
    ["http://other.test?x=1", "/?x=1"],
    ["http://[::1]:80/a", "/a"],
  ];
  test.each(absolute)("an absolute one, %s, is only a path here: %s", (target, path) => {
    expect(get(target)).toMatchObject({ target: path });
  });
});

describe("a Host", () => {
  const cases: [string[], number | "ok"][] = [
    [["Host: llm.test"], "ok"],
    [["hOST:llm.test:8080"], "ok"],
    [["Host: \t127.0.0.1 \t"], "ok"],
    [["Host: [2001:db8::1]:443"], "ok"],
    [[], 400],
    [["Host:"], 400],
    [["Host: llm.test", "Host: llm.test"], 400],
    [["Host: llm.test", "host: evil.test"], 400],
    [["Host: llm.test, evil.test"], 400],
    [["Host: llm.test/v1?"], 400],
    [["Host: a@llm.test"], 400],
    [["Host: llm test"], 400],
    [["Host: llm.test:80abc"], 400],
    [["Host: llm.test:123456"], 400],
    [["Host: [::1"], 400],
    [["Host: llm.test\0.evil"], 400],
  ];
  test.each(cases)("%j gives %p", (fields, expected) => {
    expect(verdict(parseRequestHead(head("GET / HTTP/1.1", ...fields)))).toBe(expected);
  });

  test("may be missing in HTTP/1.0, but not be wrong", () => {
    expect(verdict(parseRequestHead(head("GET / HTTP/1.0")))).toBe("ok");
    expect(verdict(parseRequestHead(head("GET / HTTP/1.0", "Host: a b")))).toBe(400);
  });
});

describe("a header field", () => {
  const refused = [
    "X-A : b",
    "X-A\t: b",
    " X-A: b",
    "\tX-A: b",
    "X A: b",
    "X(A): b",
    "X-\u00c9: b",
    "X\0A: b",
    ": b",
    ":",
    "NoColon",
    "",
    "X-A: a\0b",
    "X-A: a\rb",
    "X-A: a\nb",
    "X-A: a\x0bb",
    "X-A: a\x7fb",
    "X-A: b\r",
    "X-A: one\r\n two",
  ];
  test.each(refused)("%j is refused", (line) => {
    expect(verdict(get("/", line))).toBe(400);
  });

  test("keeps name, value, order and repetition, and loses only the blanks around the value", () => {
    const result = get("/", "x-B:  1 \t", "X-a:", "x-b:two  words", "X-L: caf\u00e9\u00a0", "X-T: a\tb");
    expect(result).toMatchObject({
      headers: [
        ...["Host", "llm.test"],
        ...["x-B", "1", "X-a", "", "x-b", "two  words", "X-L", "caf\u00e9\u00a0", "X-T", "a\tb"],
      ],
    });
  });

  const credentials = ["Authorization", "x-api-key", "api-key", "x-goog-api-key", "Content-Type"];
  test.each(credentials)("named %s stands alone, as joined two would be a third", (name) => {
    expect(verdict(get("/", `${name}: a`, `X-A: ${name}`))).toBe("ok");
    expect(verdict(get("/", `${name}: a`, "X-A: b", `${name.toUpperCase()}: a`))).toBe(400);
  });

  test("is one of at most 200", () => {
    const fields = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: a`);
    expect(verdict(get("/", ...fields(199)))).toBe("ok");
    expect(verdict(get("/", ...fields(200)))).toBe(431);
  });
});

describe("the first bytes of a head", () => {
  const possible = ["", "G", "GET / HTTP/1.1", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\nA: \xff\r\n", "\r"];
  test.each(possible)("%j may become one", (text) => {
    expect(mayBecomeHead(Buffer.from(text, "latin1"), 0, 0)).toBe(true);
  });

  const impossible = [
    "\x16\x03\x01",
    "\x05\x01\x00",
    " GET",
    "\0",
    "\xff",
    "GET / HTTP/1.1\n",
    "A\rB",
    "\r\r",
  ];
  test.each(impossible)("%j cannot", (text) => {
    expect(mayBecomeHead(Buffer.from(text, "latin1"), 0, 0)).toBe(false);
  });
});
