import { expect, test } from "bun:test";

import { configOf, TRANSPORTS } from "../support/config.ts";
import { startProxy } from "../support/proxy.ts";
import { Random } from "../support/random.ts";

const REQUESTS = 10_000;
const CLIENTS = 32;
const answer =
  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + '{"ok":true}';

/** An upstream that closes connections at rest whenever it likes, also in the moment when the next request comes. */
function startRestlessUpstream(random: Random): { url: string; closed: () => number; stop: () => void } {
  let closed = 0;
  const listener = Bun.listen<{ head: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { head: "" };
      },
      data(socket, chunk) {
        socket.data.head += chunk.toString("latin1");
        if (!socket.data.head.endsWith('"}')) return;
        socket.data.head = "";
        socket.write(answer);
        if (random.below(10) > 0) return;
        setTimeout(() => {
          closed++;
          socket.end();
        }, random.below(4));
      },
    },
  });
  return { url: `http://127.0.0.1:${listener.port}`, closed: () => closed, stop: () => listener.stop(true) };
}

test.each(TRANSPORTS)(
  "connections that upstreams close at rest never become an error for a client (transport: %s)",
  async (transport) => {
    const random = new Random();
    const upstreams = [startRestlessUpstream(random), startRestlessUpstream(random)] as const;
    await using proxy = await startProxy({
      config: configOf(
        {
          restless: {
            upstreams: { a: upstreams[0].url, b: upstreams[1].url },
            client: { retry: { enabled: true, attempts: 10, initial: 100, budget: 1 } },
          },
        },
        transport,
      ),
    });
    const statuses = new Map<number, number>();
    let left = REQUESTS;
    const client = async () => {
      while (left-- > 0) {
        const response = await fetch(`${proxy.url()}/v1/chat/completions`, {
          method: "POST",
          body: '{"model":"m"}',
        });
        await response.text();
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    expect([...statuses], `seed ${random.seed}`).toEqual([[200, REQUESTS]]);
    expect(upstreams[0].closed() + upstreams[1].closed()).toBeGreaterThan(REQUESTS / 50);
    for (const upstream of upstreams) upstream.stop();
  },
  60_000,
);
