import { expect, test } from "bun:test";

import { startUpstream } from "../../src/demo/upstream.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { startProxy } from "../support/proxy.ts";
import { startRawUpstream, type UpstreamConnection } from "../support/raw-upstream.ts";
import { eventually } from "../support/wait.ts";

const body = JSON.stringify({ model: "demo-1", messages: [{ role: "user", content: "Hello" }] });

test("roundrobin is exact over four workers: of 10,000 requests each of two upstreams gets 5,000", async () => {
  const [a, b] = ["a", "b"].map((name) => startUpstream({ name, recordedMax: 0 }));
  await using proxy = await startProxy({
    config: configOf({ main: { upstreams: { a: a!.url, b: b!.url } } }),
    workers: 4,
  });
  let left = 10_000;
  const request = requestBytes("/v1/chat/completions", { body });
  const run = async () => {
    using client = await ClientConnection.open(proxy.port());
    while (left-- > 0) {
      const response = await client.send(request).response();
      if (response.status !== 200) throw new Error(`status ${response.status}`);
    }
  };
  await Promise.all(Array.from({ length: 64 }, run));
  expect([a!.counts.accepted, b!.counts.accepted]).toEqual([5000, 5000]);
  const metrics = await proxy.metrics();
  for (const name of ["a", "b"])
    expect(metrics.get(`llmproxy_upstream_requests_total{group="main",upstream="${name}"}`)).toBe(5000);
  a!.stop();
  b!.stop();
}, 60_000);

test("2,000 streams are under way at once, none queued behind the others, and all complete", async () => {
  const streams = 2000;
  const waiting: UpstreamConnection[] = [];
  using upstream = startRawUpstream((_, connection) => {
    connection.send(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
    );
    waiting.push(connection);
  });
  await using proxy = await startProxy({ config: configOf({ main: { upstreams: { raw: upstream.url } } }) });
  const clients = await Promise.all(
    Array.from({ length: streams }, async () => {
      const client = await ClientConnection.open(proxy.port());
      return client.send(requestBytes("/v1/chat/completions", { body }));
    }),
  );
  const responses = Promise.all(clients.map((client) => client.response()));
  await eventually("all are at the upstream", () => waiting.length === streams, 30_000);
  for (const connection of waiting) connection.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
  let complete = 0;
  for (const response of await responses)
    if (response.complete && response.body.toString() === "data: 1\n\ndata: 2\n\n") complete++;
  expect(complete).toBe(streams);
  for (const client of clients) client.destroy();
}, 60_000);

test("an upstream that never answers does not hold up the requests to another one", async () => {
  const hung = startUpstream({ name: "hung" });
  hung.script = "hang=before-head";
  const quick = startUpstream({ name: "quick" });
  await using proxy = await startProxy({
    config: configOf({ hung: { upstreams: { hung: hung.url } }, quick: { upstreams: { quick: quick.url } } }),
  });
  const stuck = await Promise.all(
    Array.from({ length: 600 }, async () => {
      const client = await ClientConnection.open(proxy.port("hung"));
      return client.send(requestBytes("/v1/chat/completions", { body }));
    }),
  );
  await eventually("all are at the upstream", () => hung.counts.inFlight === stuck.length, 30_000);
  for (let round = 0; round < 100; round++)
    expect((await ask(proxy.port("quick"), "/v1/chat/completions", { body })).status).toBe(200);
  expect(hung.counts.inFlight).toBe(stuck.length);
  for (const client of stuck) client.destroy();
  await eventually("the upstream is rid of them", () => hung.counts.inFlight === 0, 30_000);
  hung.stop();
  quick.stop();
}, 60_000);
