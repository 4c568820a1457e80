import { describe, expect, test } from "bun:test";

import {
  errorOfFailure,
  isFailureStatus,
  outcomeOfFailure,
  outcomeOfStatus,
} from "../../src/proxy/outcome.ts";
import type { FailureCode, Reach, TransportFailure } from "../../src/proxy/transport/transport.ts";

const FAILURES = [500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 529];

describe("what an answer says about its upstream", () => {
  test("a failure, with just these statuses", () => {
    const all = Array.from({ length: 400 }, (_, at) => 200 + at);
    expect(all.filter(isFailureStatus)).toEqual(FAILURES);
  });

  const cases: [number, string][] = [
    [200, "success"],
    [204, "success"],
    [302, "success"],
    [304, "success"],
    [399, "success"],
    [400, "answered"],
    [401, "answered"],
    [404, "answered"],
    [408, "answered"],
    [413, "answered"],
    [429, "limited"],
    [499, "answered"],
    [501, "answered"],
    [505, "answered"],
    [528, "answered"],
    [530, "answered"],
    ...FAILURES.map((status): [number, string] => [status, "failure"]),
  ];
  test.each(cases)("status %p: %s", (status, kind) => {
    const outcome = outcomeOfStatus(status, 12);
    expect(outcome).toEqual(
      kind === "success" ? { kind, responseMs: 12 } : ({ kind, error: `status_${status}` } as never),
    );
  });

  test("a success of unknown duration is one", () => {
    expect(outcomeOfStatus(200, null)).toEqual({ kind: "success", responseMs: null });
  });
});

const CODES: FailureCode[] = [
  "dns",
  "refused",
  "connect",
  "connect_timeout",
  "tls",
  "proxy",
  "lost",
  "malformed",
];
const REACHES: Reach[] = ["not-connected", "nothing-sent", "sent", "head-received", "body-begun"];
const failure = (failed: FailureCode, reach: Reach): TransportFailure => ({ failed, reach });

describe("what a failed attempt says about its upstream", () => {
  test("a failure by its name, wherever it happened", () => {
    for (const code of CODES)
      for (const reach of REACHES)
        expect(outcomeOfFailure(failure(code, reach), false)).toEqual({ kind: "failure", error: code });
  });

  test("a timeout, where it was given up for the time limit", () => {
    expect(outcomeOfFailure(failure("cancelled", "sent"), false)).toEqual({
      kind: "failure",
      error: "timeout",
    });
  });

  test("nothing, where the client went away", () => {
    for (const code of [...CODES, "cancelled"] as const)
      expect(outcomeOfFailure(failure(code, "body-begun"), true)).toEqual({
        kind: "abandoned",
        error: "client_gone",
      });
  });

  test("nothing, where this machine is short of files", () => {
    const outcome = outcomeOfFailure(failure("no_files", "not-connected"), false);
    expect(outcome).toEqual({ kind: "abandoned", error: "no_files" });
  });
});

describe("the error that tells a client of a failed attempt", () => {
  const cases: [FailureCode, Reach, timedOut: boolean, string][] = [
    ["dns", "not-connected", false, "upstream_unreachable"],
    ["refused", "not-connected", false, "upstream_unreachable"],
    ["no_files", "not-connected", false, "no_files_left"],
    ["tls", "not-connected", false, "upstream_unreachable"],
    ["connect_timeout", "not-connected", false, "upstream_timeout"],
    ["cancelled", "sent", true, "upstream_timeout"],
    ["cancelled", "not-connected", true, "upstream_timeout"],
    ["lost", "sent", false, "upstream_broken"],
    ["lost", "nothing-sent", false, "upstream_broken"],
    ["malformed", "head-received", false, "upstream_broken"],
    ["malformed", "body-begun", false, "upstream_broken"],
  ];
  test.each(cases)("%s at %s, out of time: %p, is %s", (code, reach, timedOut, expected) => {
    expect(errorOfFailure(failure(code, reach), timedOut) as string).toBe(expected);
  });
});
