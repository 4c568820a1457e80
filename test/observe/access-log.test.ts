import { describe, expect, test } from "bun:test";

import { unknownUsage } from "../../src/llm/usage.ts";
import { type AccessFormat, type AccessRecord, writeAccessLine } from "../../src/observe/access-log.ts";
import { LineBytes } from "../../src/observe/line-bytes.ts";
import { Random } from "../support/random.ts";

const record: AccessRecord = {
  endedMs: Date.UTC(2026, 10, 23, 4, 5, 6, 789),
  requestId: "id-1",
  forward: "chat",
  client: "192.0.2.1",
  method: "POST",
  target: "/v1/chat/completions",
  model: "gpt-4o",
  responseModel: "gpt-4o-2024-08-06",
  stream: true,
  group: "pool",
  attempts: [
    { upstream: "a", status: 503, error: "status_503", ms: 1.23456, probe: false },
    { upstream: "b", status: null, error: "lost", ms: 2, probe: true },
    { upstream: "c", status: 200, error: null, ms: 300, probe: false },
  ],
  rejected: ["d"],
  status: 200,
  outcome: "ok",
  error: null,
  bytesIn: 10,
  bytesOut: 2000,
  ttftMs: 20.5,
  durationMs: 305.25,
  usage: { ...unknownUsage(), inputTokens: 11, outputTokens: 0, cachedTokens: 3 },
};

function accessLine(record: AccessRecord, format: AccessFormat, query: boolean): string {
  const lines = new LineBytes();
  writeAccessLine(lines, record, format, query);
  return Buffer.from(lines.written()).toString("latin1");
}

function jsonOf(changes: Partial<AccessRecord> = {}, query = false): Record<string, unknown> {
  return JSON.parse(accessLine({ ...record, ...changes }, "json", query));
}

describe("a line of JSON", () => {
  test("tells all that is known of the request", () => {
    expect(jsonOf()).toEqual({
      time: "2026-11-23T04:05:06.789Z",
      request_id: "id-1",
      forward: "chat",
      client: "192.0.2.1",
      method: "POST",
      path: "/v1/chat/completions",
      model: "gpt-4o",
      response_model: "gpt-4o-2024-08-06",
      stream: true,
      group: "pool",
      attempts: [
        { upstream: "a", status: 503, error: "status_503", ms: 1.235 },
        { upstream: "b", status: null, error: "lost", ms: 2, probe: true },
        { upstream: "c", status: 200, error: null, ms: 300 },
      ],
      rejected: ["d"],
      status: 200,
      outcome: "ok",
      error: null,
      bytes_in: 10,
      bytes_out: 2000,
      ttft_ms: 20.5,
      duration_ms: 305.25,
      input_tokens: 11,
      output_tokens: 0,
      cached_tokens: 3,
      reasoning_tokens: null,
    });
  });

  test("tells what is not known as null", () => {
    const nothing = {
      model: null,
      responseModel: null,
      stream: null,
      status: null,
      ttftMs: null,
      usage: null,
    };
    expect(jsonOf({ ...nothing, attempts: [], rejected: [], outcome: "client_gone" })).toMatchObject({
      model: null,
      response_model: null,
      stream: null,
      status: null,
      ttft_ms: null,
      input_tokens: null,
      attempts: [],
      rejected: [],
    });
  });

  test("is one line of printable ASCII and reads back, whatever the client sent", async () => {
    const random = new Random();
    await random.run(async () => {
      for (let round = 0; round < 500; round++) {
        const text = () => random.bytes(1 + random.below(30)).toString("latin1");
        const changes = {
          requestId: text(),
          method: text(),
          target: `/${text().replaceAll("?", "!")}`,
          model: text(),
        };
        const line = accessLine({ ...record, ...changes }, "json", false);
        expect(line).toMatch(/^[\x20-\x7e]+\n$/);
        expect(JSON.parse(line)).toMatchObject({
          request_id: changes.requestId,
          method: changes.method,
          path: changes.target,
          model: changes.model,
        });
      }
    });
  });

  test("is cut where the client made it long", () => {
    const long = "x".repeat(100_000);
    const line = accessLine(
      { ...record, requestId: long, model: long, method: long, target: `/${long}` },
      "json",
      false,
    );
    expect(line.length).toBeLessThan(5000);
  });
});

test("a request among many of another kind is told as it is", async () => {
  const random = new Random();
  const kinds: readonly Partial<AccessRecord>[] = [
    {},
    { method: "GET" },
    { method: null },
    { target: "/v1/embeddings" },
    { target: null },
    { model: "gpt-5" },
    { model: null },
    { responseModel: "gpt-5-2026" },
    { responseModel: null },
    { stream: false },
    { stream: null },
    { group: "other" },
    { target: `/${"x".repeat(600)}` },
    { target: "/v1/models?a=1" },
  ];
  await random.run(async () => {
    for (const many of kinds) {
      for (let i = 0; i < 200; i++) {
        const one = i < 70 || random.below(2) === 0 ? many : kinds[random.below(kinds.length)]!;
        const query = random.below(20) === 0;
        const said = { ...record, ...one };
        const { method, target, model, responseModel, stream, group } = said;
        const path = query ? target : (target?.split("?")[0] ?? null);
        const expected = { method, path, model, response_model: responseModel, stream, group };
        expect(jsonOf(one, query)).toMatchObject(expected);
      }
    }
  });
});

describe("the query", () => {
  const target = "/v1/models?a=1&key=AIzaSecret&b=2";

  test("is left out", () => {
    expect(jsonOf({ target })["path"]).toBe("/v1/models");
    expect(accessLine({ ...record, target }, "text", false)).not.toContain("?");
  });

  test.each([
    ["a=1&key=AIzaSecret&b=2", "a=1&key=***&b=2"],
    ["api-version=2024-10-21", "api-version=2024-10-21"],
    ["API_KEY=x;access_token=y", "API_KEY=***;access_token=***"],
    ["x-goog-api-key=x", "x-goog-api-key=***"],
    ["k%65y=x", "k%65y=***"],
    ["sig=a%2Fb&Signature=c", "sig=***&Signature=***"],
    ["client_secret=x&password=y&Authorization=z", "client_secret=***&password=***&Authorization=***"],
    ["key=a=b", "key=***"],
    ["key", "key"],
    ["a?key=x", "a?key=***"],
  ])("is told on demand, without secrets: %s", (query, expected) => {
    expect(jsonOf({ target: `/v1/models?${query}` }, true)["path"]).toBe(`/v1/models?${expected}`);
  });
});

describe("a line of text", () => {
  test("has name=value for everything", () => {
    expect(accessLine(record, "text", false)).toBe(
      "2026-11-23T04:05:06.789Z forward=chat client=192.0.2.1 method=POST path=/v1/chat/completions status=200 " +
        "outcome=ok error=- duration_ms=305.25 ttft_ms=20.5 model=gpt-4o response_model=gpt-4o-2024-08-06 " +
        "stream=true group=pool attempts=a:status_503:1.235ms,b:lost:2ms,c:200:300ms rejected=d bytes_in=10 " +
        "bytes_out=2000 input_tokens=11 output_tokens=0 cached_tokens=3 reasoning_tokens=- request_id=id-1\n",
    );
  });

  test("quotes what is not plain", () => {
    const line = accessLine({ ...record, model: 'a "b" c', requestId: "x\ny" }, "text", false);
    expect(line).toContain(' model="a \\"b\\" c" ');
    expect(line).toEndWith(' request_id="x\\ny"\n');
  });
});
