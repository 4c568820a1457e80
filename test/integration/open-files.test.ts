import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";

import { startUpstream } from "../../src/demo/upstream.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { valueOf } from "../support/response-reader.ts";
import { eventually } from "../support/wait.ts";

setDefaultTimeout(60_000);
const skipped = process.platform !== "linux" || Bun.which("prlimit") === null;
if (skipped) console.log("open files: skipped, as this needs Linux and prlimit");

const HANG = ["x-demo-script", "hang=before-head"];
const request = (headers: readonly string[] = []) => requestBytes("/v1/models", { headers });

function filesOf({ pid }: RunningProxy): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** All is as it was before: requests are answered, and no worker was lost. */
async function expectRecovered(proxy: RunningProxy): Promise<void> {
  await eventually("it answers", async () => (await ask(proxy.port(), "/v1/models")).status === 200);
  for (let i = 0; i < 20; i++) expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
  expect((await fetch(`${proxy.adminUrl}/health`)).status).toBe(200);
  const metrics = await proxy.metrics();
  expect(metrics.get("llmproxy_worker_deaths_total") ?? 0).toBe(0);
  const opened = [...metrics].filter(([series]) => series.startsWith("llmproxy_circuitbreaker_opened_total"));
  expect(opened.filter(([, count]) => count > 0)).toEqual([]);
}

describe.skipIf(skipped).each(TRANSPORTS)("over the transport %s", (transport) => {
  const upstream = startUpstream({ name: "demo" });
  const breaker = { threshold: 0.01, cooldown: 3600, min_requests: 1 };
  const config = configOf({ main: { upstreams: { demo: { url: upstream.url, breaker } } } }, transport);

  test.each([64, 300])(
    "more clients than a limit of %d files allows wait, get a 503 or are closed",
    async (files) => {
      await using proxy = await startProxy({ config, wrapper: ["prlimit", `--nofile=${files}:${files}`] });
      const opening = Array.from({ length: files * 2 }, () => ClientConnection.open(proxy.port()));
      const opened = await Promise.allSettled(opening);
      const clients = opened.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
      for (const client of clients) client.send(request(HANG));
      await eventually("some are turned away", () =>
        clients.some(({ ended, pending }) => ended !== null || pending !== ""),
      );
      await eventually("others are under way", () => upstream.counts.inFlight > 0);
      // There are files left for who operates it.
      expect((await fetch(`${proxy.adminUrl}/health`)).status).toBe(200);
      const statuses = clients.map(({ pending }) => pending.slice(9, 12)).filter((status) => status !== "");
      expect(statuses.filter((status) => status !== "503")).toEqual([]);
      for (const client of clients) client.destroy();
      await eventually("nothing is left upstream", () => upstream.counts.inFlight === 0);
      await expectRecovered(proxy);
    },
  );

  test("when no file can be opened at all, it waits, blames no upstream, and goes on later", async () => {
    await using proxy = await startProxy({ config });
    const limitFiles = (files: number) =>
      Bun.spawnSync(["prlimit", "--pid", String(proxy.pid), `--nofile=${files}:`]);
    const clients = await Promise.all(Array.from({ length: 20 }, () => ClientConnection.open(proxy.port())));
    await ask(proxy.port(), "/v1/models");
    await eventually("all are accepted", () => filesOf(proxy) > clients.length);
    limitFiles(10);
    for (const client of clients) client.send(request(["x-demo-script", "delay=300"]));
    const late = (await ClientConnection.open(proxy.port())).send(request());
    const answers = await Promise.all(clients.map((client) => client.response()));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.length).toBeGreaterThan(0);
    for (const { status, headers, body } of refused) {
      expect(JSON.parse(body.toString()).error.code).toBe("no_files_left");
      expect([status, valueOf(headers, "retry-after")]).toEqual([503, "1"]);
    }
    expect([late.ended, late.pending]).toEqual([null, ""]);
    limitFiles(1024);
    expect((await late.response()).status).toBe(200);
    await expectRecovered(proxy);
    for (const client of [...clients, late]) client.destroy();
    // What was opened meanwhile is let go.
    const left = filesOf(proxy);
    await ask(proxy.port(), "/v1/models");
    await eventually("its files are closed", () => filesOf(proxy) <= left);
  });
});
