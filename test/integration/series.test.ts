import { expect, test } from "bun:test";

import { startUpstream } from "../../src/demo/upstream.ts";
import { ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { Random } from "../support/random.ts";
import { valueOf } from "../support/response-reader.ts";
import { eventually } from "../support/wait.ts";

const CONNECTIONS = 32;
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/** `*` becomes something that was never asked for. */
const PATHS = [
  "/*",
  "/v1/*/*",
  "/v1/models/*",
  "/v1/chat/completions",
  "/v1/chat/completions/*",
  "/chat/completions",
  "/v1/messages",
  "/v1/embeddings",
  "/v1/responses",
  "/api/chat",
  "/openai/deployments/*/chat/completions",
];
const KNOWN = METHODS.flatMap((method) => PATHS.map((path) => [method, path] as const));

interface Asked {
  readonly method: string;
  readonly bytes: Buffer;
  /** False: it is refused before it is a request. */
  readonly counts: boolean;
}

/** Asks for something new in every way that a client can. */
class Strangers {
  /** Requests that the proxy has to count. */
  counted = 0;
  private readonly random: Random;
  private readonly proxy: RunningProxy;

  constructor(random: Random, proxy: RunningProxy) {
    this.random = random;
    this.proxy = proxy;
  }

  /** Sends so many over kept connections, and waits for all answers. */
  async send(count: number): Promise<void> {
    let left = count;
    const client = async () => {
      let connection = await ClientConnection.open(this.proxy.port());
      while (left > 0) {
        const asked = this.next(--left);
        if (asked.counts) this.counted++;
        const { headers } = await connection.send(asked.bytes).response(asked.method);
        if (valueOf(headers, "connection") !== "close") continue;
        connection.destroy();
        connection = await ClientConnection.open(this.proxy.port());
      }
      connection.destroy();
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, client));
  }

  private word(): string {
    return this.random.below(1_000_000_000).toString(36);
  }

  private next(number: number): Asked {
    const { random } = this;
    const isStrange = random.below(20) === 0;
    // Every other one is a chat, as those have most to tell; the others are everything in turn.
    const [known, template] = number % 2 === 0 ? ["POST", PATHS[3]!] : KNOWN[(number >> 1) % KNOWN.length]!;
    const method = isStrange ? this.word().toUpperCase() : known;
    const path = `${template.replaceAll("*", () => this.word())}?${this.word()}=${this.word()}`;
    const headers = ["Host", `${this.word()}.test`, "User-Agent", `${this.word()}/${this.word()}`];
    headers.push("X-Request-Id", this.word(), "Authorization", `Bearer ${this.word()}`);
    headers.push("Content-Type", "application/json", `X-${this.word()}`, this.word());
    const messages = [{ role: "user", content: this.word() }];
    const body = JSON.stringify({ model: `m-${this.word()}`, stream: random.below(2) === 0, messages });
    const bare = method === "GET" || method === "HEAD";
    return {
      method,
      bytes: requestBytes(path, bare ? { method, headers } : { method, headers, body }),
      counts: !isStrange,
    };
  }
}

/** The names of all series, once everything that was asked is in them. */
async function settledSeries(proxy: RunningProxy, requests: number): Promise<ReadonlySet<string>> {
  let seen: ReadonlySet<string> = new Set();
  await eventually("all requests are counted", async () => {
    const metrics = await proxy.metrics();
    const before = seen;
    seen = new Set(metrics.keys());
    let counted = 0;
    for (const [series, count] of metrics)
      if (series.startsWith("llmproxy_http_request_duration_seconds_count{")) counted += count;
    // A new series is announced a moment after it was counted in.
    return counted === requests && seen.size === before.size;
  });
  return seen;
}

test("10,000 requests with random paths, methods, models, hosts and agents do not make the metrics grow", async () => {
  const random = new Random();
  await random.run(async () => {
    const upstream = startUpstream({ name: "demo", recordedMax: 0 });
    await using proxy = await startProxy({
      config: configOf({ main: { upstreams: { demo: upstream.url } } }),
    });
    const strangers = new Strangers(random, proxy);
    // Until everything that is told apart, and as many models as are, has been there in every worker.
    await strangers.send(3_000);
    const before = await settledSeries(proxy, strangers.counted);
    expect([...before].filter((series) => series.includes('model="other"'))).not.toEqual([]);
    await strangers.send(10_000);
    const after = await settledSeries(proxy, strangers.counted);
    expect([...after].filter((series) => !before.has(series))).toEqual([]);
    expect(after.size).toBe(before.size);
    upstream.stop();
  });
}, 60_000);
