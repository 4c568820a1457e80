import { describe, expect, test } from "bun:test";

import { parseScript } from "../../src/demo/script-parse.ts";
import type { Script } from "../../src/demo/script.ts";

function script(text: string): Script {
  const parsed = parseScript(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.script;
}

function problem(text: string): string {
  const parsed = parseScript(text);
  return parsed.ok ? "no problem" : parsed.problem;
}

describe("a script", () => {
  test("may be empty", () => {
    expect(script("")).toEqual({});
    expect(script(" ; ;")).toEqual({});
  });

  test("holds items with and without values, spaces being free", () => {
    expect(script(" status = 503;retry-after=2 ; no-done;; tokens=5")).toEqual({
      status: 503,
      retryAfter: "2",
      noDone: true,
      tokens: 5,
    });
  });

  test("tells times, sizes and framing", () => {
    expect(
      script(
        "delay=1; ttft=2; interval=3; ping-interval=4; drip=5; drip-interval=6; body-bytes=7; token-bytes=8",
      ),
    ).toEqual({
      delayMs: 1,
      firstTokenMs: 2,
      tokenIntervalMs: 3,
      pingIntervalMs: 4,
      dripBytes: 5,
      dripIntervalMs: 6,
      bodyBytes: 7,
      tokenBytes: 8,
    });
    expect(script("close; encoding=zstd")).toEqual({ framing: "close", encoding: "zstd" });
    expect(script("upstream=quick; chance=0.25; interim=103; error=insufficient_quota; early")).toEqual({
      upstream: "quick",
      chance: 0.25,
      interim: 103,
      error: "insufficient_quota",
      early: true,
    });
  });

  test("names the point of a break, or a number of bytes", () => {
    expect(script("reset=mid-stream").break).toEqual({ action: "reset", at: "mid-stream" });
    expect(script("fin=1234").break).toEqual({ action: "fin", at: 1234 });
    expect(script("hang=accept").break).toEqual({ action: "hang", at: "accept" });
    expect(script("garbage=head").break).toEqual({ action: "garbage", at: "in-head" });
    expect(script("garbage=body").break).toEqual({ action: "garbage", at: "mid-stream" });
    expect(script("garbage=json")).toEqual({ garbageJson: true });
  });

  test("keeps repeated headers, and semicolons and quotes inside quoted values", () => {
    expect(
      script('header="Set-Cookie: a=1; Path=/"; header=X-Empty:; header="X-Quote: say \\"hi\\" \\\\"')
        .headers,
    ).toEqual(["Set-Cookie", "a=1; Path=/", "X-Empty", "", "X-Quote", 'say "hi" \\']);
  });

  test("carries raw bytes and the place of an error", () => {
    expect(script("raw=AAEC/w==").raw).toEqual(Buffer.from([0, 1, 2, 255]));
    expect(script("error-in-stream").errorInStream).toBe("half");
    expect(script("error-in-stream=3; done")).toEqual({ errorInStream: 3, done: true });
  });
});

describe("a wrong script", () => {
  test("is told soon, however many blanks it has", () => {
    const blanks = " ".repeat(100_000);
    for (const text of [
      `status=${blanks}"`,
      `status=2${blanks}"`,
      `status${blanks}"`,
      `status="a"${blanks}"`,
      `${blanks}"`,
    ])
      expect(problem(text)).toStartWith("cannot read ");
    expect(script(`${blanks}status${blanks}=${blanks}503${blanks};${blanks}`)).toEqual({ status: 503 });
  });

  test.each([
    ["bogus=1", 'unknown item "bogus"; known: upstream, chance, status'],
    ["status=99", 'status: found "99", allowed is a whole number from 200 to 599'],
    ["status", 'status: found "", allowed is a whole number'],
    ["delay=-1", "delay: found"],
    ["delay=1.5", "delay: found"],
    ["tokens=1e3", "tokens: found"],
    ["chance=2", "chance: found"],
    ["no-done=1", "no-done: takes no value"],
    ["encoding=lzma", 'encoding: found "lzma", allowed: gzip, br, zstd'],
    ["reset=later", 'reset: found "later", allowed: accept, before-head'],
    ["reset=accept; hang=end", "hang: a script may have one break only"],
    ["header=nocolon", "header: allowed is Name:Value"],
    ["header=Bad Name:x", 'header: "Bad Name" is not a field name'],
    ['header="X: a\u0000b"', "header: the value holds a character"],
    ["raw=%%%", "raw: allowed is base64"],
    ["upstream=", "upstream: a value is missing"],
    ['header="X: open', 'cannot read "header="X: open"'],
    ["=5", 'cannot read "=5"'],
    ["tokens=100000; token-bytes=1000000", "tokens x token-bytes is over"],
    ["body-bytes=5; encoding=gzip; length", "length: the compressed length"],
    ["garbage=body; close", "garbage=body: the framing is always chunked"],
    ["interim=101", "interim: 101 is not an interim response"],
  ])("is told apart: %s", (text, expected) => {
    expect(problem(text)).toStartWith(expected);
  });
});
