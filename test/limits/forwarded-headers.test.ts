import { expect, test } from "bun:test";

import { forwardedHeaders } from "../../src/limits/forwarded-headers.ts";
import { parseNetwork } from "../../src/shared/ip-address.ts";

const TRUSTED = [parseNetwork("10.0.0.0/8")!];
const HOST = ["Host", "llm.example:8080"];

test("an upstream is told the peer, the protocol and the host", () => {
  expect(forwardedHeaders("9.9.9.9", HOST, TRUSTED)).toEqual([
    ...["X-Forwarded-For", "9.9.9.9"],
    ...["X-Forwarded-Proto", "http"],
    ...["X-Forwarded-Host", "llm.example:8080"],
  ]);
});

test("what a peer says that is not trusted is dropped", () => {
  const said = [
    "X-Forwarded-For",
    "1.1.1.1",
    "x-forwarded-proto",
    "https",
    "X-Forwarded-Host",
    "evil",
    ...HOST,
  ];
  expect(forwardedHeaders("9.9.9.9", said, TRUSTED)).toEqual(forwardedHeaders("9.9.9.9", HOST, TRUSTED));
});

test("what a trusted peer says is kept, and it is appended itself", () => {
  const said = [
    ...["X-Forwarded-For", "1.1.1.1", "Host", "inner", "X-Forwarded-Proto", "https"],
    ...["x-forwarded-for", "2.2.2.2, 10.0.0.9", "X-Forwarded-Host", "llm.example"],
  ];
  expect(forwardedHeaders("10.0.0.1", said, TRUSTED)).toEqual([
    ...["X-Forwarded-For", "1.1.1.1, 2.2.2.2, 10.0.0.9, 10.0.0.1"],
    ...["X-Forwarded-Proto", "https"],
    ...["X-Forwarded-Host", "llm.example"],
  ]);
});

test("a trusted peer that says nothing is the first in the line", () => {
  expect(forwardedHeaders("10.0.0.1", HOST, TRUSTED).slice(0, 4)).toEqual([
    ...["X-Forwarded-For", "10.0.0.1"],
    ...["X-Forwarded-Proto", "http"],
  ]);
});

test("addresses are written as upstreams expect them", () => {
  const written = (peer: string) => forwardedHeaders(peer, HOST, TRUSTED)[1];
  expect(written("::ffff:255.1.2.3")).toBe("255.1.2.3");
  expect(written("2001:db8::1")).toBe("2001:db8::1");
});

test("without a Host, as in HTTP/1.0, none is told", () => {
  expect(forwardedHeaders("9.9.9.9", [], TRUSTED)).not.toContain("X-Forwarded-Host");
});
