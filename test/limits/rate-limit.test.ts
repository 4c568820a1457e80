import { expect, test } from "bun:test";

import { RateLimit } from "../../src/limits/rate-limit.ts";
import { RateLimitTable } from "../../src/memory/rate-limit-table.ts";
import { parseIpAddress } from "../../src/shared/ip-address.ts";
import { inFreshMemory } from "../memory/setup.ts";

const table = (clients = 1024) => inFreshMemory((region) => new RateLimitTable(region, clients));
const ONE = parseIpAddress("192.0.2.1")!;

test("who is over the limit is told in whole seconds when to come again, one at least", () => {
  const slow = new RateLimit(table(), { perSecond: 1, burst: 3, clients: 1024 }, 0);
  expect([0, 0, 0, 0].map((ms) => slow.check(ONE, ms))).toEqual([
    "admitted",
    "admitted",
    "admitted",
    { waitS: 1 },
  ]);
  expect(slow.check(ONE, 1)).toEqual({ waitS: 1 });
  expect(slow.check(ONE, 1000)).toBe("admitted");
  const fast = new RateLimit(table(), { perSecond: 1000, burst: 1000, clients: 1024 }, 0);
  for (let i = 0; i < 1000; i++) fast.check(ONE, 0);
  expect(fast.check(ONE, 0)).toEqual({ waitS: 1 });
});

test("a refusal names the burst, that nothing remains, and the moment that Retry-After names", () => {
  const limit = new RateLimit(table(), { perSecond: 5, burst: 20, clients: 1024 }, 0);
  expect(limit.refusalHeaders(7)).toEqual([
    ...["RateLimit-Limit", "20"],
    ...["RateLimit-Remaining", "0"],
    ...["RateLimit-Reset", "7"],
  ]);
  expect(limit.text).toContain("5 per second, and 20 at once");
});

test("one IPv6 subscriber is one client, another one is another", () => {
  const limit = new RateLimit(table(), { perSecond: 1, burst: 2, clients: 1024 }, 0);
  const check = (text: string) => limit.check(parseIpAddress(text)!, 0);
  expect(check("2001:db8:1:1::1")).toBe("admitted");
  expect(check("2001:db8:1:1:a:b:c:d")).toBe("admitted");
  expect(check("2001:db8:1:1::2")).toEqual({ waitS: 1 });
  expect(check("2001:db8:1:2::2")).toBe("admitted");
});

test("clients for whom there is no room are let through", () => {
  const limit = new RateLimit(table(8), { perSecond: 1, burst: 1, clients: 8 }, 0);
  const verdicts = Array.from({ length: 40 }, (_, i) => limit.check(parseIpAddress(`192.0.2.${i + 1}`)!, 0));
  expect(verdicts.filter((verdict) => verdict === "admitted")).toHaveLength(16);
  expect(verdicts.filter((verdict) => verdict === "untracked")).toHaveLength(24);
  expect(limit.check(ONE, 0)).toEqual({ waitS: 1 });
});
