import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Dialect } from "../../src/llm/dialect.ts";
import { endOf, GOLDEN, type Golden } from "../fixtures/streams/golden.ts";
import { type AccessLine, readGrowingAccessLog, withAccessLog } from "../support/access-log.ts";
import { ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { Random } from "../support/random.ts";
import { type RawUpstream, startRawUpstream } from "../support/raw-upstream.ts";
import { eventually } from "../support/wait.ts";

const PATHS: Partial<Record<Dialect, string>> = {
  "openai-chat": "/v1/chat/completions",
  "openai-completions": "/v1/completions",
  "openai-embeddings": "/v1/embeddings",
  "openai-responses": "/v1/responses",
  "openai-media": "/v1/images/generations",
  "anthropic-messages": "/v1/messages",
  "gemini-generate": "/v1beta/models/m:streamGenerateContent",
  "ollama-generate": "/api/chat",
};
const CUTS = 10;

interface Part {
  readonly bytes: Buffer;
  readonly contentType: string;
  /** Sizes of the chunks; all of them make up what is sent. */
  readonly chunks: readonly number[];
  /** The connection breaks behind them. */
  readonly broken: boolean;
}

describe.each(TRANSPORTS)("golden responses, over %s,", (transport) => {
  const random = new Random();
  const parts = new Map<string, Part>();
  let upstream: RawUpstream;
  let proxy: RunningProxy;
  let directory: string;
  let made = 0;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "llmproxy-test-"));
    upstream = startRawUpstream(({ headers }, connection) => {
      const part = parts.get(headers[headers.indexOf("X-Request-Id") + 1]!)!;
      connection.send(
        `HTTP/1.1 200 OK\r\nContent-Type: ${part.contentType}\r\nTransfer-Encoding: chunked\r\n\r\n`,
      );
      let at = 0;
      for (const size of part.chunks) {
        const chunk = part.bytes.toString("latin1", at, (at += size));
        connection.send(`${size.toString(16)}\r\n${chunk}\r\n`);
      }
      if (part.broken) connection.end();
      else connection.send("0\r\n\r\n");
    });
    const breaker = { threshold: 1, min_requests: 10_000 };
    const config = configOf({ pool: { upstreams: { raw: { url: upstream.url, breaker } } } }, transport);
    proxy = await startProxy({ config: withAccessLog(config, { path: logPath() }), workers: 2 });
  });
  afterAll(async () => {
    await proxy.stop();
    upstream.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const logPath = () => join(directory, "access.log");

  /** Has it sent in this way; gives the id of the request, and what the client got. */
  async function ask(golden: Golden, part: Part) {
    const id = `golden-${made++}`;
    parts.set(id, part);
    using client = await ClientConnection.open(proxy.port());
    const headers = ["X-Request-Id", id];
    client.send(requestBytes(PATHS[golden.dialect]!, { method: "POST", body: "{}", headers }));
    const { body, complete } = await client.response("POST");
    return { id, body, complete };
  }

  async function linesOf(ids: readonly string[]): Promise<AccessLine[]> {
    let found: (AccessLine | undefined)[] = [];
    await eventually("all lines are there", () => {
      const byId = new Map(readGrowingAccessLog(logPath()).map((line) => [line.request_id, line]));
      found = ids.map((id) => byId.get(id));
      return !found.includes(undefined);
    });
    return found as AccessLine[];
  }

  async function failures(): Promise<number> {
    const labels = `group="pool",upstream="raw",url="${upstream.url}"`;
    const metrics = await proxy.metrics();
    return metrics.get(`llmproxy_circuitbreaker_calls_total{${labels},result="failure"}`)!;
  }

  /** Sizes of pieces of a length, each of them up to `max` bytes. */
  function pieces(length: number, max: number): number[] {
    const sizes: number[] = [];
    for (let left = length; left > 0; left -= sizes.at(-1)!)
      sizes.push(Math.min(left, 1 + random.below(max)));
    return sizes;
  }

  test.each(GOLDEN.map((golden) => [golden.file, golden] as const))(
    "%s reaches the client as it is, and says what it says, in pieces of any size",
    async (_, golden) => {
      await random.run(async () => {
        const bytes = Buffer.from(golden.text);
        const part = { bytes, contentType: golden.contentType, broken: false };
        const answers = [1, 7, 100, bytes.length].map((max) =>
          ask(golden, { ...part, chunks: pieces(bytes.length, max) }),
        );
        const ids: string[] = [];
        for (const { id, body, complete } of await Promise.all(answers)) {
          expect({ complete, text: body.toString("utf8") }).toEqual({ complete: true, text: golden.text });
          ids.push(id);
        }
        const [input, output, cached, , reasoning] = golden.tokens;
        for (const line of await linesOf(ids)) {
          expect(line).toMatchObject({
            outcome: golden.verdict === "complete" ? "ok" : "error",
            response_model: golden.model,
            input_tokens: input!,
            output_tokens: output!,
            cached_tokens: cached!,
            reasoning_tokens: reasoning!,
          });
        }
      });
    },
  );

  test("are failures when they are cut anywhere before their end, and the client sees it", async () => {
    await random.run(async () => {
      const before = await failures();
      const ids: string[] = [];
      for (const golden of GOLDEN) {
        const bytes = Buffer.from(golden.text);
        for (let i = 0; i < CUTS; i++) {
          const cut = 1 + random.below(endOf(golden) - 1);
          const chunks = pieces(cut, 100);
          const { id, complete } = await ask(golden, {
            bytes,
            contentType: golden.contentType,
            chunks,
            broken: true,
          });
          expect({ file: golden.file, cut, complete }).toEqual({ file: golden.file, cut, complete: false });
          ids.push(id);
        }
      }
      for (const line of await linesOf(ids))
        expect([line["outcome"], line["status"]]).toEqual(["error", 200]);
      expect((await failures()) - before).toBe(ids.length);
    });
  });
});
