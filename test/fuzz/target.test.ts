import { expect, test } from "bun:test";

import { parseBaseUrl } from "../../src/config/base-url.ts";
import { parseRequestHead } from "../../src/http/request-head.ts";
import { upstreamTarget } from "../../src/proxy/target.ts";
import { upstreamPlan } from "../proxy/plans.ts";
import { MANY_CASES_TIMEOUT_MS, tryManyCases } from "../support/many-cases.ts";
import type { Random } from "../support/random.ts";

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
  "..;",
  "v1beta",
  "@x",
  ":80",
  "x;y",
  "~",
  "V1",
];
/** What may begin another host, climb out of a path, end a line, or mean something to a parser of URLs. */
const NOISE = [
  ..."/ // \\ .. /../ /./ %2e. . ? # @ : :80 %00 %0d%0a %zz [ ] ; & = + * a @evil.test //evil.test http://evil.test".split(
    " ",
  ),
  " ",
  "\t",
  "\r\n",
  "\n",
  "\0",
  "\x7f",
  "\xe9",
  "\u3002",
  "\u2215",
  "\ud800",
];
const HOSTS = [
  "up.test",
  "UP.test:8000",
  "[::1]:8000",
  "[2001:DB8::1]",
  "127.1",
  "user@up.test",
  "u:p%40w@up.test",
  "b\u00fccher.test",
];
const QUERIES = ["", "", "?", "?a=b", "?/v1?%0d%0a", "?key=1&x=/../y", "?//evil.test"];

const pathOf = (random: Random, segments: number) =>
  Array.from({ length: segments }, () => `/${random.pick(SEGMENTS)}`).join("");

/** Mostly as it is, sometimes with pieces put in. */
function withNoise(random: Random, text: string): string {
  let noisy = text;
  for (let count = random.below(4) - 1; count > 0; count--) {
    const at = random.below(noisy.length + 1);
    noisy = noisy.slice(0, at) + random.pick(NOISE) + noisy.slice(at + random.below(2));
  }
  return noisy;
}

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

function cut(text: string): [path: string, query: string | null] {
  const at = text.indexOf("?");
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
}

test(
  "whatever base URL is accepted and whatever a client asks for, it is asked of that host, below that path",
  () => {
    let joined = 0;
    const cases = tryManyCases("targets", (random) => {
      const scheme = random.pick(["http", "https", "HTTP", "Https"]);
      const url = withNoise(
        random,
        `${scheme}://${random.pick(HOSTS)}${pathOf(random, random.below(4))}${random.pick(QUERIES)}`,
      );
      const asked = withNoise(random, pathOf(random, 1 + random.below(5)) + random.pick(QUERIES));
      const fail = (what: string): never => {
        throw new Error(`${what}: ${JSON.stringify({ url, asked })}`);
      };
      const base = parseBaseUrl(url);
      const head = parseRequestHead(Buffer.from(`GET ${asked} HTTP/1.1\r\nHost: lb.test\r\n`, "latin1"));
      if (typeof base !== "string") {
        if (!/^https?:\/\/[^/@?#\\\s\x00-\x20\x7f-\uffff]+$/.test(base.origin))
          fail(`the origin is ${base.origin}`);
        if (new URL(base.origin).origin !== base.origin) fail(`the origin is no origin: ${base.origin}`);
        // The same host that anybody else sees in this URL.
        if (new URL(url).origin !== base.origin) fail(`another origin: ${base.origin}`);
        if (!/^(?:(?:\/[\x21-\x7e]*)?[\x21-\x2e\x30-\x7e])?$/.test(base.path))
          fail(`the path is ${base.path}`);
        if (/[?#]/.test(base.path) || /[#\x00-\x20\x7f-\uffff]/.test(base.query))
          fail("it is not taken apart");
        if (/[\x00-\x1f\x7f]/.test(JSON.stringify(base.credentials)))
          fail("the credentials could end a line");
      }
      if (typeof base === "string" || "status" in head) return;
      // Only an absolute one stands for something else, its path.
      if (asked.startsWith("/") && head.target !== asked) fail(`it is read as ${head.target}`);
      joined++;
      const upstream = upstreamPlan({ origin: base.origin, basePath: base.path, baseQuery: base.query });
      const target = upstreamTarget(upstream, head.target);

      const [askedPath, askedQuery] = cut(head.target);
      const [path, query] = cut(target);
      if (path !== slowJoin(base.path, askedPath)) fail(`joined to ${path}`);
      const queries = [base.query, askedQuery ?? ""].filter((text) => text !== "");
      if ((query ?? "") !== queries.join("&")) fail(`the query became ${query}`);
      if (base.query === "" && (query === null) !== (askedQuery === null)) fail(`a question mark: ${target}`);
      if (!/^\/[\x21-\x7e]*$/.test(target)) fail(`it would end the request line: ${target}`);

      // As a URL it leads to the same place: to that host, and not out of the base path.
      const seen = new URL(base.origin + target);
      if (seen.origin !== base.origin || seen.username !== "") fail(`it leads to ${seen.href}`);
      if (seen.pathname !== base.path && !seen.pathname.startsWith(`${base.path}/`))
        fail(`it climbs to ${seen.href}`);
    });
    expect(joined).toBeGreaterThan(cases / 4);
  },
  MANY_CASES_TIMEOUT_MS,
);
