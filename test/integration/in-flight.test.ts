import { expect, test } from "bun:test";

import { startUpstream } from "../../src/demo/upstream.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { startProxy } from "../support/proxy.ts";
import { Random } from "../support/random.ts";
import { eventually } from "../support/wait.ts";

const REQUESTS = 240;
/** What an upstream may do: answer, refuse, break off at every point, hang until the time limit or the client's patience ends. */
const scripts = [
  "",
  "status=401",
  "status=429; retry-after=1",
  "status=500",
  "status=503",
  "reset=before-head",
  "reset=after-head",
  "fin=mid-stream; tokens=6; interval=2",
  "reset=mid-stream; tokens=6; interval=2",
  "garbage=head",
  "garbage=body",
  "hang=before-head",
  "hang=mid-stream; tokens=6; interval=2",
  "error-in-stream",
  "tokens=200; interval=5",
  "encoding=gzip; tokens=6; interval=2",
];

test.each(TRANSPORTS)(
  "after any mix of failures, aborts and time limits nothing is in flight (transport: %s)",
  async (transport) => {
    const random = new Random();
    const upstreams = [startUpstream({ name: "a" }), startUpstream({ name: "b" })] as const;
    const breaker = { threshold: 0.5, cooldown: 1, half_open_requests: 2 };
    const refused = `http://127.0.0.1:${unusedPort()}`;
    await using proxy = await startProxy({
      workers: 4,
      config: configOf(
        {
          mix: {
            strategy: "response_aware",
            upstreams: {
              a: { url: upstreams[0].url, breaker },
              b: { url: upstreams[1].url, breaker },
              refused,
            },
            client: {
              retry: { enabled: true, attempts: 2, initial: 100, budget: 1 },
              timeout: { request: 2 },
            },
          },
        },
        transport,
      ),
    });
    const one = async () => {
      const script = scripts[random.below(scripts.length)]!;
      // Half of the clients go away, at any time.
      const patience = random.below(2) === 0 ? random.below(300) : 10_000;
      const body = {
        model: "m",
        stream: random.below(2) === 0,
        messages: [{ role: "user", content: "Hello" }],
      };
      try {
        const response = await fetch(`${proxy.url()}/v1/chat/completions`, {
          method: "POST",
          headers: script === "" ? {} : { "x-demo-script": script },
          body: JSON.stringify(body),
          signal: AbortSignal.timeout(patience),
        });
        await response.arrayBuffer();
      } catch {
        // Cut, reset, or left: all of it is meant to happen.
      }
    };
    let left = REQUESTS;
    const client = async () => {
      while (left-- > 0) await one();
    };
    await Promise.all(Array.from({ length: 40 }, client));

    const busy = async () => {
      const gauges = [...(await proxy.metrics())].filter(([series]) => /_in_flight\{/.test(series));
      expect(gauges.length, `seed ${random.seed}`).toBeGreaterThan(3);
      return gauges.filter(([, value]) => value !== 0);
    };
    await eventually(
      `nothing to be in flight (seed ${random.seed})`,
      async () => (await busy()).length === 0,
    );
    expect(upstreams.map(({ counts }) => counts.inFlight)).toEqual([0, 0]);
    for (const upstream of upstreams) upstream.stop();
  },
  60_000,
);
