import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { readAccessLog, withAccessLog } from "../support/access-log.ts";
import { configOf, type Keys } from "../support/config.ts";
import { load, rawRequest } from "../support/load-client.ts";
import { parsePrometheusText, sumOf } from "../support/prometheus-text.ts";
import { startProxy } from "../support/proxy.ts";
import { eventually } from "../support/wait.ts";

const RELOADS = 12;
const BATCH = 200;
const TOKENS = 3;
const BODY = JSON.stringify({ model: "demo-1", messages: [{ role: "user", content: "Hi" }] });

const upstreams: DemoUpstream[] = [];
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "llmproxy-test-"));
  for (const name of ["a", "b", "c"]) upstreams.push(startUpstream({ name, recordedMax: 0 }));
});
afterAll(() => {
  for (const upstream of upstreams) upstream.stop();
  rmSync(directory, { recursive: true, force: true });
});

const logOf = (number: number) => join(directory, `access-${number % 2}.log`);

/** Upstreams take turns at being there, so that their places in shared memory change hands; so do the files. */
function configNumber(number: number): Keys {
  const [a, b, c] = upstreams;
  const second =
    number % 3 === 0 ? { b: b!.url } : number % 3 === 1 ? { c: c!.url } : { b: b!.url, c: c!.url };
  const groups = number % 2 === 0 ? { pool: second } : { before: { c: c!.url }, pool: second };
  const setups = Object.entries(groups).map(([name, more]) => [name, { upstreams: { a: a!.url, ...more } }]);
  return withAccessLog(configOf(Object.fromEntries(setups)), { path: logOf(number) });
}

test("metrics and access log lose and mix nothing while configurations and files change", async () => {
  await using proxy = await startProxy({ config: configNumber(0), workers: 3 });
  let sent = 0;
  let ended = false;
  const request = (id: number) =>
    rawRequest(
      "POST",
      "/v1/chat/completions",
      [`X-Request-Id: ${id}`, `x-demo-script: tokens=${TOKENS}`],
      BODY,
    );
  const loading = (async () => {
    while (!ended) {
      const first = sent;
      sent += BATCH;
      const statuses = await load(proxy.port("pool"), 8, BATCH, (number) => request(first + number));
      expect(statuses).toEqual(new Map([[200, BATCH]]));
    }
  })();
  for (let number = 1; number <= RELOADS; number++) {
    const before = sent;
    expect(await proxy.reload(configNumber(number))).toContain("applied");
    await eventually("there is load", () => sent > before);
  }
  ended = true;
  await loading;

  const families = () =>
    fetch(`${proxy.adminUrl}/metrics`).then(async (response) => parsePrometheusText(await response.text()));
  await eventually(
    "all is counted",
    async () => sumOf(await families(), "llmproxy_http_request_duration_seconds_count") === sent,
  );
  const metrics = await families();
  expect(sumOf(metrics, "llmproxy_http_requests_total", { forward: "pool" })).toBe(sent);
  expect(sumOf(metrics, "llmproxy_upstream_duration_seconds_count")).toBe(sent);
  expect(sumOf(metrics, "llmproxy_llm_tokens_total", { token_type: "output" })).toBe(sent * TOKENS);
  for (const { name, counts } of upstreams) {
    const count = sumOf(metrics, "llmproxy_upstream_requests_total", { upstream: name });
    expect([name, count]).toEqual([name, counts.accepted]);
  }
  for (const gone of ["in_flight", "dropped_lines_total", "dropped_series_total", "deaths_total"]) {
    const families = [...metrics.keys()].filter((name) => name.endsWith(gone));
    expect(families.map((name) => [name, sumOf(metrics, name)])).toEqual(families.map((name) => [name, 0]));
  }
  await proxy.stop();
  const lines = [0, 1].flatMap((number) => readAccessLog(logOf(number)));
  expect(lines.length).toBe(sent);
  expect(new Set(lines.map((line) => line.request_id)).size).toBe(sent);
  for (const { name, counts } of upstreams) {
    const served = lines.filter((line) => (line["attempts"] as { upstream: string }[])[0]!.upstream === name);
    expect([name, served.length]).toEqual([name, counts.accepted]);
  }
}, 90_000);
