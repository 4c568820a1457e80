import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { budgetResetMs, retryAfterMs } from "../../src/llm/retry-after.ts";

const NOW_MS = Date.parse("2026-03-01T12:00:00Z");
const DAY_MS = 86_400_000;

/** What a response with these header fields asks for. */
function asked(headers: Readonly<Record<string, string>>): number | null {
  return retryAfterMs((name) => headers[name] ?? null, NOW_MS);
}

/** When its budgets are full again. */
function reset(headers: Readonly<Record<string, string>>): number | null {
  return budgetResetMs((name) => headers[name] ?? null, NOW_MS);
}

// A date without a zone is one of UTC wherever the proxy runs.
const zone = process.env.TZ;
beforeAll(() => void (process.env.TZ = "America/New_York"));
afterAll(() => void (process.env.TZ = zone ?? "UTC"));

describe("how long an upstream asks to be left alone", () => {
  const said: [Record<string, string>, number | null][] = [
    [{}, null],
    [{ "retry-after": "7" }, 7000],
    [{ "retry-after": " 7 " }, 7000],
    [{ "retry-after": "0" }, 0],
    [{ "retry-after": "1.5" }, 1500],
    [{ "retry-after": "Sun, 01 Mar 2026 12:00:30 GMT" }, 30_000],
    [{ "retry-after": "Sun, 01 Mar 2026 11:59:00 GMT" }, 0],
    // The two obsolete forms of a date that RFC 9110 5.6.7 knows.
    [{ "retry-after": "Sunday, 01-Mar-26 12:00:30 GMT" }, 30_000],
    [{ "retry-after": "Sun Mar  1 12:00:30 2026" }, 30_000],
    [{ "retry-after-ms": "250" }, 250],
    [{ "retry-after-ms": "250.5", "retry-after": "9" }, 250.5],
    // By the clock of the upstream, however wrong it is, or ours.
    [{ "retry-after": "Sun, 01 Mar 2026 13:00:30 GMT", date: "Sun, 01 Mar 2026 13:00:10 GMT" }, 20_000],
    [{ "retry-after": "Sun, 01 Mar 2026 11:00:30 GMT", date: "Sun, 01 Mar 2026 11:00:10 GMT" }, 20_000],
    [{ "retry-after": "Sun, 01 Mar 2026 12:00:30 GMT", date: "today" }, 30_000],
    [{ "retry-after": "7", date: "Sun, 01 Mar 2026 11:00:10 GMT" }, 7000],
    // A wish that cannot be read leaves the other one.
    [{ "retry-after-ms": "soon", "retry-after": "9" }, 9000],
    [{ "retry-after-ms": "", "retry-after": "9" }, 9000],
    // Never longer than a day, whatever is asked.
    [{ "retry-after": "999999999999" }, DAY_MS],
    [{ "retry-after-ms": "999999999999" }, DAY_MS],
    [{ "retry-after": "Sun, 01 Mar 2099 12:00:00 GMT" }, DAY_MS],
  ];
  test.each(said)("%j: %p ms", (headers, ms) => {
    expect(asked(headers)).toBe(ms);
  });

  test.each(["", "soon", "-1", "-5", "+5", "1e3", "0x10", "5 s", "5,5", "NaN", "Infinity", "5;", "1 2 3"])(
    "is not told by %j",
    (text) => {
      expect(asked({ "retry-after": text })).toBeNull();
      expect(asked({ "retry-after-ms": text })).toBeNull();
    },
  );
});

describe("the reset of a budget that is used up", () => {
  const requests = (remaining: string, reset: string) => ({
    "x-ratelimit-remaining-requests": remaining,
    "x-ratelimit-reset-requests": reset,
  });
  const cases: [Record<string, string>, number | null][] = [
    [requests("0", "12"), 12_000],
    [requests("0", "0.25"), 250],
    [requests("0", "1s"), 1000],
    [requests("0", "6m0s"), 60_000],
    [requests("0", "20ms"), 20],
    [requests("0", "1m1.5s"), 60_000],
    [requests("0", "0h0m3s"), 3000],
    [requests("0", "500us"), 0.5],
    [requests("0", "500\u00b5s"), 0.5],
    [requests("0", "1000000ns"), 1],
    [requests("0", "2026-03-01T12:00:05Z"), 5000],
    [requests("0", "2026-03-01T11:00:00Z"), 0],
    [requests("0", "at some time"), null],
    [requests("0", "5x"), null],
    [{ "x-ratelimit-remaining-requests": "0" }, null],
    // Something is left: one call may fit.
    [requests("1", "12"), null],
    [requests("", "12"), null],
    [requests("none", "12"), null],
    // At most a minute: it tells when the budget is full again, which is later than when one call fits.
    [requests("0", "3600"), 60_000],
    [{ "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "8s", ...requests("0", "3s") }, 8000],
    [{ "x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "8s", ...requests("0", "3s") }, 3000],
    [
      {
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-03-01T12:00:20Z",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-03-01T12:00:40Z",
      },
      20_000,
    ],
  ];
  test.each(cases)("%j: %p ms", (headers, ms) => {
    expect(reset(headers)).toBe(ms);
  });

  test.each(["requests", "tokens", "input-tokens", "output-tokens"])("counts for Anthropic's %s", (kind) => {
    const headers = {
      [`anthropic-ratelimit-${kind}-remaining`]: "0",
      [`anthropic-ratelimit-${kind}-reset`]: "2026-03-01T12:00:09Z",
    };
    expect(reset(headers)).toBe(9000);
  });

  test("is not what the upstream asks for", () => {
    expect(asked(requests("0", "9"))).toBeNull();
  });
});
