import { describe, expect, test } from "bun:test";

import { type Framing, responseHead } from "../../src/http/response-head.ts";
import { areFieldLines, endOfText, endOfToken } from "../../src/http/syntax.ts";
import { trimOws } from "../../src/shared/trim.ts";

describe("a response head", () => {
  const cases: [number, string[], Framing, boolean, string[]][] = [
    [200, [], 5, true, ["HTTP/1.1 200 OK", "Content-Length: 5"]],
    [200, [], 0, true, ["HTTP/1.1 200 OK", "Content-Length: 0"]],
    [200, [], "chunked", true, ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"]],
    [200, [], "until-close", false, ["HTTP/1.1 200 OK", "Connection: close"]],
    [204, [], "none", true, ["HTTP/1.1 204 No Content"]],
    [404, [], 3, false, ["HTTP/1.1 404 Not Found", "Content-Length: 3", "Connection: close"]],
    // A phrase may be empty; the blank before it may not be missing (RFC 9112 4).
    [299, [], "none", true, ["HTTP/1.1 299 "]],
    [
      429,
      ["retry-after", "1", "Set-Cookie", "a=1", "Set-Cookie", "b=caf\u00e9"],
      "none",
      true,
      ["HTTP/1.1 429 Too Many Requests", "retry-after: 1", "Set-Cookie: a=1", "Set-Cookie: b=caf\u00e9"],
    ],
  ];
  test.each(cases)("%p %j %p, kept: %p", (status, headers, framing, keepAlive, lines) => {
    expect(responseHead(status, headers, framing, keepAlive)).toBe(`${lines.join("\r\n")}\r\n\r\n`);
  });

  test.each(["a\r\nX-Evil: 1", "a\rb", "a\nb", "\n", "a\0b"])(
    "never holds a field with %j in its value",
    (value) => {
      expect(() => responseHead(200, ["X-A", "fine", "X-B", value], 0, true)).toThrow(
        "no valid name or value",
      );
    },
  );

  test.each(["X-A\r\nX-Evil", "X\nA", "X-A: b\rC"])("never holds a field named %j", (name) => {
    expect(() => responseHead(200, [name, "a"], 0, true)).toThrow();
  });
});

describe("field lines", () => {
  const cases: [string[], boolean][] = [
    [[], true],
    [["a", "b"], true],
    [["a", "", "B", "\t\xff c: d "], true],
    [["", "b"], false],
    [["a b", "c"], false],
    [["a:", "c"], false],
    [["a: b", "c"], false],
    [["a\r\nb", "c"], false],
    [["a", "b\r\nc: d"], false],
    [["a", "b\r"], false],
    [["a", "\nb"], false],
    [["a", "\0"], false],
    [["a", "\x7f"], false],
    [["a", "b", "c", "d\re"], false],
    // Cut to a byte it would be a LF.
    [["a", "\u010a"], false],
    [["\u0131", "b"], false],
  ];
  test.each(cases)("of %j are those and no others: %p", (headers, expected) => {
    let head = "HTTP/1.1 200 OK\r\n";
    const at = head.length;
    for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
    expect(areFieldLines(`${head}\r\n`, at, headers)).toBe(expected);
  });
});

describe("the syntax of fields", () => {
  const trimmed: [string, string][] = [
    ["", ""],
    [" \t ", ""],
    [" a\tb\t", "a\tb"],
    // JavaScript's trim() takes these for white space; HTTP does not.
    ["\u00a0a\u00a0", "\u00a0a\u00a0"],
    ["\x0ba\x0c", "\x0ba\x0c"],
  ];
  test.each(trimmed)("%j without the blanks around it is %j", (text, expected) => {
    expect(trimOws(text)).toBe(expected);
  });

  test("a token and a text end where their characters end", () => {
    expect(endOfToken("ab-c_9: x", 0)).toBe(6);
    expect(endOfToken(": x", 0)).toBe(0);
    expect(endOfToken("abc", 1)).toBe(3);
    expect(endOfText("a\tb \xff\r\n", 0)).toBe(5);
    expect(endOfText("abc", 3)).toBe(3);
    expect(endOfText("a\x7fb", 0)).toBe(1);
    // A character beyond one byte is none that may come in.
    expect(endOfToken("a\u0131b", 0)).toBe(1);
    expect(endOfText("a\u010ab", 0)).toBe(1);
  });
});
