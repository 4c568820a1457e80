import { describe, expect, test } from "bun:test";

import { packet, PACKET_BYTES_MAX } from "../../src/http/packet.ts";
import { bytesOfFields, putFields } from "../../src/http/put-fields.ts";
import { type Framing, packResponseHead } from "../../src/http/response-head.ts";
import { trimOws } from "../../src/shared/trim.ts";

function written(status: number, headers: string[], framing: Framing, keepAlive: boolean): string {
  const end = packResponseHead(status, headers, framing, keepAlive);
  return packet.bytes.toString("latin1", 0, end);
}

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
    expect(written(status, headers, framing, keepAlive)).toBe(`${lines.join("\r\n")}\r\n\r\n`);
  });

  test("may be of any size", () => {
    for (const length of [0, 9, 10, 99, 65_000, 1_000_000, 999_999_999_999_999]) {
      const value = "v".repeat(Math.min(length, 2 * PACKET_BYTES_MAX));
      expect(written(200, ["X-A", value], length, false)).toBe(
        `HTTP/1.1 200 OK\r\nX-A: ${value}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`,
      );
    }
  });

  test.each(["a\r\nX-Evil: 1", "a\rb", "a\nb", "\n", "a\0b"])(
    "never holds a field with %j in its value",
    (value) => {
      expect(() => packResponseHead(200, ["X-A", "fine", "X-B", value], 0, true)).toThrow(
        "no valid name or value",
      );
    },
  );

  test.each(["X-A\r\nX-Evil", "X\nA", "X-A: b\rC"])("never holds a field named %j", (name) => {
    expect(() => packResponseHead(200, [name, "a"], 0, true)).toThrow();
  });
});

describe("fields that are written", () => {
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
  test.each(cases)("%j are lines of a head: %p", (headers, expected) => {
    const bytes = Buffer.alloc(100, 0x2e);
    const end = putFields(bytes, 3, headers);
    if (!expected) return expect(end).toBe(-1);
    let lines = "";
    for (let i = 0; i < headers.length; i += 2) lines += `${headers[i]}: ${headers[i + 1]}\r\n`;
    expect(bytes.toString("latin1", 0, end + 1)).toBe(`...${lines}.`);
    expect(bytesOfFields(headers)).toBe(lines.length);
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
});
