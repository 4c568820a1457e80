import { describe, expect, test } from "bun:test";

import { type Definition, DEFINITIONS } from "../../src/observe/definitions.ts";
import { Exposition } from "../../src/observe/exposition.ts";
import { cellsOf } from "../../src/observe/recorder.ts";
import { parsePrometheusText } from "../support/prometheus-text.ts";
import { hasPromtool, promtool } from "../support/promtool.ts";

const definitions: [string, Definition][] = Object.entries(DEFINITIONS);

/** The names, types and labels that people's dashboards are written for. */
const PROMISED: [name: string, type: string, labels: string[]][] = [
  ["llmproxy_http_requests_total", "counter", ["forward", "method", "path"]],
  ["llmproxy_http_request_duration_seconds", "histogram", ["forward", "method", "path"]],
  ["llmproxy_http_request_errors_total", "counter", ["forward", "error", "status"]],
  ["llmproxy_ratelimit_total", "counter", ["forward"]],
  ["llmproxy_upstream_requests_total", "counter", ["group", "upstream"]],
  ["llmproxy_upstream_duration_seconds", "histogram", ["group", "upstream"]],
  ["llmproxy_upstream_errors_total", "counter", ["error", "group", "upstream"]],
  ["llmproxy_circuitbreaker_state_changes_total", "counter", ["group", "upstream", "url", "from", "to"]],
  ["llmproxy_circuitbreaker_calls_total", "counter", ["group", "upstream", "url", "result"]],
  ["llmproxy_circuitbreaker_opened_total", "counter", ["group", "upstream", "url"]],
  ["llmproxy_circuitbreaker_closed_total", "counter", ["group", "upstream", "url"]],
  ["llmproxy_circuitbreaker_half_opened_total", "counter", ["group", "upstream", "url"]],
];

/** One series of every metric. */
function everything(): string {
  const exposition = new Exposition();
  for (const name of Object.keys(DEFINITIONS) as (keyof typeof DEFINITIONS)[]) {
    const values = DEFINITIONS[name].labels.map((label) => `a ${label}`);
    exposition.add(name, values, new Float64Array(cellsOf(name)).fill(1));
  }
  return exposition.text();
}

describe("the metrics", () => {
  test.each(PROMISED)("%s is a %s", (name, type, labels) => {
    const definition = definitions.find(([known]) => known === name)?.[1];
    expect(definition).toMatchObject({ type, labels });
  });

  test("are all in the text, with help and type, in the order of their definitions", () => {
    const families = parsePrometheusText(everything());
    expect([...families.keys()]).toEqual(definitions.map(([name]) => name));
  });

  test.each(definitions)("%s has a name that fits its type, and a help of one line", (name, definition) => {
    expect(name.endsWith("_total")).toBe(definition.type === "counter");
    expect(name).toMatch(/^(llmproxy|process)_[a-z_]+[a-z]$/);
    expect(definition.help).toMatch(/^[A-Z0-9][^\n\\]+\.$/);
    expect(definition.labels).not.toContain("le");
    expect(definition.buckets !== undefined).toBe(definition.type === "histogram");
    const buckets = definition.buckets ?? [];
    expect(buckets).toEqual([...new Set(buckets)].toSorted((a, b) => a - b));
  });

  test("measure requests from 5 ms to 10 minutes", () => {
    for (const name of ["llmproxy_http_request_duration_seconds", "llmproxy_upstream_duration_seconds"]) {
      const buckets = definitions.find(([known]) => known === name)![1].buckets!;
      expect([buckets[0], buckets.at(-1)]).toEqual([0.005, 600]);
    }
  });

  test.skipIf(!hasPromtool)("pass promtool (skipped where it is not installed)", async () => {
    expect(await promtool(["check", "metrics"], everything())).toEqual({ exitCode: 0, output: "" });
  });
});
