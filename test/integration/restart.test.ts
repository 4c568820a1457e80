import { expect, test } from "bun:test";

import { startUpstream } from "../../src/demo/upstream.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { startProxy } from "../support/proxy.ts";

const body = JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "Hi" }] });
const stream = requestBytes("/v1/chat/completions", { body, headers: ["x-demo-script", "hang=mid-stream"] });

test("what is killed in the middle of streams serves again as soon as it is started again, on its port", async () => {
  const upstream = startUpstream({ name: "demo" });
  const port = unusedPort();
  const config = configOf({ main: { upstreams: { demo: upstream.url }, forward: { port } } });
  const took: number[] = [];
  for (let round = 0; round < 5; round++) {
    const startMs = performance.now();
    await using proxy = await startProxy({ config });
    // Not tried again: what it says is so.
    expect((await ask(port, "/v1/models")).status).toBe(200);
    took.push(Math.round(performance.now() - startMs));
    const clients = await Promise.all(
      Array.from({ length: 50 }, async () => (await ClientConnection.open(port)).send(stream)),
    );
    await Promise.all(clients.map((client) => client.until((text) => text.includes('"content"'))));
    await proxy.kill();
    // They see that it is over, and it does not look like a clean end.
    for (const client of clients) {
      expect((await client.response()).complete).toBe(false);
      client.destroy();
    }
  }
  console.log(`from the start to the first answer: ${took.join(", ")} ms`);
  upstream.stop();
}, 60_000);
