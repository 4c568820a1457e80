import { expect, test } from "bun:test";

import { startUpstream } from "../../src/demo/upstream.ts";
import { configOf } from "../support/config.ts";
import { startProxy } from "../support/proxy.ts";
import { Random } from "../support/random.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

test("10,000 requests with random paths, models, ids and agents do not make the metrics grow", async () => {
  const random = new Random();
  const upstream = startUpstream({ name: "demo", recordedMax: 0 });
  await using proxy = await startProxy({ config: configOf({ main: { upstreams: { demo: upstream.url } } }) });
  const word = () => random.below(1_000_000_000).toString(36);
  const one = async () => {
    const isChat = random.below(2) === 0;
    const method = isChat ? "POST" : METHODS[random.below(METHODS.length)]!;
    const response = await fetch(`${proxy.url()}/v1/${isChat ? "chat/completions" : word()}?q=${word()}`, {
      method,
      headers: { "user-agent": word(), "x-request-id": word(), authorization: `Bearer ${word()}` },
      ...(method === "GET" ? {} : { body: JSON.stringify({ model: `m-${word()}`, messages: [] }) }),
    });
    await response.arrayBuffer();
  };
  const send = async (count: number) => {
    let left = count;
    const client = async () => {
      while (left-- > 0) await one();
    };
    await Promise.all(Array.from({ length: 32 }, client));
  };
  // Until every method, and as many models as are told apart, have been there in every worker.
  await send(2000);
  const before = new Set((await proxy.metrics()).keys());
  await send(8000);
  const grown = [...(await proxy.metrics()).keys()].filter((series) => !before.has(series));
  expect(grown, `seed ${random.seed}`).toEqual([]);
  upstream.stop();
}, 60_000);
