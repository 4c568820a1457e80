import { describe, expect, test } from "bun:test";

import { packet } from "../../../src/http/packet.ts";
import { packRequestHead } from "../../../src/proxy/transport/request-head.ts";
import type { UpstreamRequest } from "../../../src/proxy/transport/transport.ts";

const REQUEST: UpstreamRequest = {
  method: "POST",
  origin: "http://model.test",
  target: "/v1/x?y=%22",
  headers: ["X-A", "caf\xe9", "X-Empty", "", "X-A", "2"],
  body: Buffer.from("{}"),
};

function headOf(parts: Partial<UpstreamRequest>, keepAlive = true): string | null {
  const end = packRequestHead({ ...REQUEST, ...parts }, "model.test", keepAlive);
  return end < 0 ? null : packet.bytes.toString("latin1", 0, end);
}

describe("a request head", () => {
  test("is written as it is given, with what frames it", () => {
    expect(headOf({})).toBe(
      "POST /v1/x?y=%22 HTTP/1.1\r\nHost: model.test\r\nX-A: caf\xe9\r\nX-Empty: \r\nX-A: 2\r\nContent-Length: 2\r\n\r\n",
    );
  });

  test("has the host that is given, where one is", () => {
    expect(headOf({ headers: ["hOsT", "other.test"], method: "GET", body: null })).toBe(
      "GET /v1/x?y=%22 HTTP/1.1\r\nhOsT: other.test\r\n\r\n",
    );
  });

  test.each([
    ["POST", "Content-Length: 0\r\n"],
    ["PUT", "Content-Length: 0\r\n"],
    ["PATCH", "Content-Length: 0\r\n"],
    ["GET", ""],
    ["HEAD", ""],
    ["DELETE", ""],
    ["OPTIONS", ""],
  ])("of a %s without a body says %j", (method, line) => {
    expect(headOf({ method, headers: [], body: null })).toBe(
      `${method} /v1/x?y=%22 HTTP/1.1\r\nHost: model.test\r\n${line}\r\n`,
    );
  });

  test("says that the connection is used once, where it is", () => {
    expect(headOf({ headers: [] }, false)).toEndWith("\r\nConnection: close\r\n\r\n");
  });

  const BREAKS = ["\r", "\n", "\r\n", "\0", "\x0b", "\x7f", "\u010a", "\u010d", "\u2028"];
  test.each(BREAKS)("is not written with %j anywhere in it", (text) => {
    expect(headOf({ headers: ["X-A", `a${text}b`] })).toBeNull();
    expect(headOf({ headers: ["X-A", `${text}`] })).toBeNull();
    expect(headOf({ headers: [`X-A${text}`, "b"] })).toBeNull();
    expect(headOf({ method: `GET${text}` })).toBeNull();
    expect(headOf({ target: `/a${text}b` })).toBeNull();
  });

  test.each([" ", "", "X A", "X:A", "X-\xe9"])("is not written with a field named %j", (name) => {
    expect(headOf({ headers: [name, "b"] })).toBeNull();
  });

  test("is not written with a blank in its method or target", () => {
    expect(headOf({ method: "GET /x" })).toBeNull();
    expect(headOf({ method: "" })).toBeNull();
    expect(headOf({ target: "/a HTTP/1.1" })).toBeNull();
    expect(headOf({ target: "/a\tb" })).toBeNull();
  });
});
