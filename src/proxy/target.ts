import type { UpstreamPlan } from "../config/plan.ts";

/**
 * Joins an upstream's base path and a request's path. Clients mount the proxy with or without the `/v1` of
 * their base URL, so the longest run of leading segments that the base already ends in is not repeated:
 * `/api/v1` and `/v1/models` give `/api/v1/models`. Nothing is decoded. `basePath` has no trailing slash.
 */
export function joinPath(basePath: string, requestPath: string): string {
  // From the longest end of the base (all of it) to its last segment.
  for (let at = basePath.indexOf("/"); at >= 0; at = basePath.indexOf("/", at + 1)) {
    const end = basePath.length - at;
    if (
      requestPath.startsWith(basePath.slice(at)) &&
      (requestPath.length === end || requestPath[end] === "/")
    )
      return at === 0 ? requestPath : basePath + requestPath.slice(end);
  }
  return basePath + requestPath;
}

/** Path and query to ask an upstream for; `target` is the client's, as sent. The base's query comes first. */
export function upstreamTarget(upstream: UpstreamPlan, target: string): string {
  const mark = target.indexOf("?");
  const path = joinPath(upstream.basePath, mark < 0 ? target : target.slice(0, mark));
  const query = mark < 0 ? "" : target.slice(mark + 1);
  if (upstream.baseQuery === "") return mark < 0 ? path : `${path}?${query}`;
  return query === "" ? `${path}?${upstream.baseQuery}` : `${path}?${upstream.baseQuery}&${query}`;
}

/**
 * A URL that the upstream names in its answer, without the pairs of the base's query. A server that redirects mostly
 * repeats the query that it was asked with, and the client must not see the key in it; when it comes back with the
 * URL, the base's query is added anew.
 */
export function withoutBaseQuery(upstream: UpstreamPlan, url: string): string {
  const match = /^([^?#]*)\?([^#]*)(.*)$/.exec(url);
  if (match === null || upstream.baseQuery === "") return url;
  const [, before, query, fragment] = match;
  const own = new Set(upstream.baseQuery.split("&").map(decoded));
  const pairs = query!.split("&").filter((pair) => !own.has(decoded(pair)));
  return `${before}${pairs.length === 0 ? "" : `?${pairs.join("&")}`}${fragment}`;
}

/** A server may write escapes in another way than it was sent them. */
function decoded(pair: string): string {
  try {
    return decodeURIComponent(pair.replaceAll("+", "%20"));
  } catch {
    return pair;
  }
}
