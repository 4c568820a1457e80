import { describe, expect, test } from "bun:test";

import { joinPath, upstreamTarget } from "../../src/proxy/target.ts";
import { Random } from "../support/random.ts";
import { upstreamPlan } from "./plans.ts";

describe("joining an upstream's base path and a request's path", () => {
  const cases: [base: string, path: string, joined: string][] = [
    ["", "/", "/"],
    ["", "/v1/models", "/v1/models"],
    ["/v1", "/chat/completions", "/v1/chat/completions"],
    ["/v1", "/v1/chat/completions", "/v1/chat/completions"],
    ["/v1", "/v1", "/v1"],
    ["/v1", "/v1/", "/v1/"],
    ["/v1", "/", "/v1/"],
    // Whole segments only.
    ["/v1", "/v1beta/models", "/v1/v1beta/models"],
    ["/v1", "/v1.1/models", "/v1/v1.1/models"],
    ["/av1", "/v1/models", "/av1/v1/models"],
    ["/v1", "/V1/models", "/v1/V1/models"],
    // Any number of segments, the longest run first.
    ["/api/v1", "/v1/models", "/api/v1/models"],
    ["/api/v1", "/api/v1/models", "/api/v1/models"],
    ["/api/v1", "/api/models", "/api/v1/api/models"],
    ["/openai/deployments/gpt", "/deployments/gpt/chat", "/openai/deployments/gpt/chat"],
    ["/a/b/a/b", "/a/b/c", "/a/b/a/b/c"],
    ["/a/b/a/b", "/a/b/a/b/c", "/a/b/a/b/c"],
    ["/v1/v1", "/v1/models", "/v1/v1/models"],
    // Once only: what is repeated beyond that was meant.
    ["/v1", "/v1/v1/models", "/v1/v1/models"],
    // In the middle of a path it is no repetition.
    ["/v1", "/proxy/v1/models", "/v1/proxy/v1/models"],
    // Nothing is decoded, cleaned or encoded.
    ["/v1", "/%76%31/models", "/v1/%76%31/models"],
    ["/a%20b", "/a%20b/c", "/a%20b/c"],
    ["/v1", "/v1//models", "/v1//models"],
    ["/v1", "/models/a%2Fb:c@d;e", "/v1/models/a%2Fb:c@d;e"],
    ["/v1", "/..%2fadmin", "/v1/..%2fadmin"],
  ];
  test.each(cases)("%p and %p give %p", (base, path, joined) => {
    expect(joinPath(base, path)).toBe(joined);
  });
});

describe("the target for an upstream", () => {
  const cases: [basePath: string, baseQuery: string, target: string, expected: string][] = [
    ["", "", "/v1/models", "/v1/models"],
    ["/v1", "", "/v1/models?limit=2&after=%7e", "/v1/models?limit=2&after=%7e"],
    ["/v1", "", "/models?", "/v1/models?"],
    ["/v1", "", "/models?a?b=/v1/../x", "/v1/models?a?b=/v1/../x"],
    ["/v1", "key=1", "/models", "/v1/models?key=1"],
    ["/v1", "key=1", "/models?", "/v1/models?key=1"],
    ["/v1", "key=1", "/models?a=b", "/v1/models?key=1&a=b"],
    ["/v1", "api-version=2", "/v1/x?api-version=1", "/v1/x?api-version=2&api-version=1"],
    // The question mark ends the path: what looks like a repeated base behind it is none.
    ["/v1", "", "/?/v1", "/v1/?/v1"],
  ];
  test.each(cases)("of base %p with query %p, for %p, is %p", (basePath, baseQuery, target, expected) => {
    expect(upstreamTarget(upstreamPlan({ basePath, baseQuery }), target)).toBe(expected);
  });

  const SEGMENTS = [
    "v1",
    "v1",
    "api",
    "a",
    "b",
    "",
    "%2f",
    "%2e%2e",
    "...",
    "v1beta",
    "@x",
    ":80",
    "x;y",
    "~",
  ];

  test("begins with the base path, and what follows is the rest of what was sent, for any of them", async () => {
    const random = new Random();
    await random.run(async () => {
      const pick = () => SEGMENTS[random.below(SEGMENTS.length)]!;
      const path = (segments: number) => Array.from({ length: segments }, () => `/${pick()}`).join("");
      for (let round = 0; round < 100_000; round++) {
        // As the configuration has it: without a slash at the end.
        const basePath = path(random.below(4)).replace(/\/+$/, "");
        const requestPath = random.below(2) === 0 ? `/${pick()}` : path(1 + random.below(5));
        const query = ["", "?", "?a=b", "?/v1?%0d%0a"][random.below(4)]!;
        const baseQuery = random.below(3) === 0 ? "k=v" : "";
        const target = upstreamTarget(upstreamPlan({ basePath, baseQuery }), requestPath + query);
        const at = target.indexOf("?");
        const [joined, joinedQuery] = at < 0 ? [target, null] : [target.slice(0, at), target.slice(at + 1)];
        expectSame(joined, slowJoin(basePath, requestPath), `${basePath} + ${requestPath}`);
        const given = query === "" ? null : query.slice(1);
        const wanted =
          baseQuery === "" ? given : given === null || given === "" ? baseQuery : `${baseQuery}&${given}`;
        expectSame(joinedQuery, wanted, `${baseQuery} + ${query}`);
      }
    });
  }, 60_000);
});

/** The rule as it is told: the longest run of leading segments that the base ends in is not repeated. */
function slowJoin(basePath: string, requestPath: string): string {
  const base = basePath.split("/").slice(1);
  const segments = requestPath.split("/").slice(1);
  for (let length = Math.min(base.length, segments.length); length > 0; length--) {
    const repeated = base.slice(base.length - length).every((segment, at) => segment === segments[at]);
    if (repeated) return ["", ...base, ...segments.slice(length)].join("/");
  }
  return ["", ...base, ...segments].join("/");
}

function expectSame(got: string | null, wanted: string | null, what: string): void {
  if (got !== wanted) throw new Error(`${what}: got ${got}, expected ${wanted}`);
}
