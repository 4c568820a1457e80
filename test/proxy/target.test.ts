import { describe, expect, test } from "bun:test";

import { joinPath, upstreamTarget, withoutBaseQuery } from "../../src/proxy/target.ts";
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
});

describe("a URL in an answer", () => {
  const cases: [baseQuery: string, url: string, expected: string][] = [
    ["key=1", "https://h/v1/?key=1", "https://h/v1/"],
    ["key=1", "/v1/?key=1&a=b#top", "/v1/?a=b#top"],
    ["key=1&v=2", "/v1/?v=2&a=b&key=1", "/v1/?a=b"],
    // Written in another way than it was sent.
    ["key=a%2Bb%20c", "/?key=a%2bb+c&x", "/?x"],
    // The client's own, or somebody else's.
    ["key=1", "/v1/?key=2&key=12", "/v1/?key=2&key=12"],
    ["key=1", "/v1/key=1#?key=1", "/v1/key=1#?key=1"],
    ["key=%zz", "/?key=%zz&a=%zz", "/?a=%zz"],
    ["", "/?a=b&", "/?a=b&"],
  ];
  test.each(cases)("of base query %p, %p, is told as %p", (baseQuery, url, expected) => {
    expect(withoutBaseQuery(upstreamPlan({ baseQuery }), url)).toBe(expected);
  });
});
