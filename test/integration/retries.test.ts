import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";

const question = { model: "demo-1", messages: [{ role: "user", content: "Hello" }] };
// With the default budget the retries of this many failures in a row would run out.
const retry = { enabled: true, attempts: 3, initial: 100, budget: 1 };

/** What an upstream answers, and whether it is then left alone. Each is asked in a group of its own. */
const rests: [script: string, rests: boolean][] = [
  ["status=429; retry-after=100", true],
  ["status=429; header=retry-after-ms:5000", true],
  ['status=429; retry-after="Fri, 01 Jan 2100 00:00:00 GMT"', true],
  ['status=429; retry-after="Fri, 01 Jan 2010 00:00:00 GMT"', false],
  ["status=429; retry-after=0", false],
  ["status=429", false],
  ["status=429; header=x-ratelimit-remaining-tokens:0; header=x-ratelimit-reset-tokens:6m0s", true],
  ["status=429; header=x-ratelimit-remaining-tokens:1; header=x-ratelimit-reset-tokens:6m0s", false],
  [
    "status=429; retry-after=soon; header=x-ratelimit-remaining-tokens:0; header=x-ratelimit-reset-tokens:1m",
    true,
  ],
  ["status=503; retry-after=100", true],
  ["status=503", false],
  ["status=529; retry-after=100", true],
  ["status=500; retry-after=100", false],
  ["status=400; retry-after=100", false],
];

let first: DemoUpstream;
let second: DemoUpstream;
let proxy: RunningProxy;

beforeAll(() => {
  first = startUpstream({ name: "first" });
  second = startUpstream({ name: "second" });
});
afterAll(() => {
  first.stop();
  second.stop();
});

function start(transport: string): Promise<RunningProxy> {
  const refused = `http://127.0.0.1:${unusedPort()}`;
  const pair = { first: first.url, second: second.url };
  return startProxy({
    config: configOf(
      {
        off: { upstreams: pair, strategy: "failover" },
        on: { upstreams: pair, strategy: "failover", client: { retry } },
        alone: { upstreams: { first: first.url }, client: { retry } },
        "refused-off": { upstreams: { refused, second: second.url }, strategy: "failover" },
        "refused-alone": { upstreams: { refused }, client: { retry: { ...retry, attempts: 2 } } },
        "refused-no-retry": { upstreams: { refused } },
        resting: { upstreams: { "rest-a": first.url, "rest-b": second.url } },
        broken: {
          upstreams: {
            "broken-a": { url: first.url, breaker: { threshold: 0.5, cooldown: 20, min_requests: 1 } },
            "broken-b": { url: second.url, breaker: { threshold: 0.5, cooldown: 40, min_requests: 1 } },
          },
        },
        waiting: { upstreams: { "wait-a": first.url, "wait-b": second.url }, client: { retry } },
        ...Object.fromEntries(
          rests.map((_, i) => [
            `rests-${i}`,
            {
              upstreams: { [`rests-${i}-a`]: first.url, [`rests-${i}-b`]: second.url },
              strategy: "failover",
            },
          ]),
        ),
        "last-resort": {
          upstreams: { "last-a": refused, "last-b": second.url },
          strategy: "roundrobin",
        },
        saving: { upstreams: { saving: first.url }, client: { retry: { ...retry, budget: 0.2 } } },
        late: { upstreams: { late: first.url }, client: { retry, timeout: { request: 1 } } },
      },
      transport,
    ),
  });
}
beforeEach(() => {
  first.script = null;
  second.script = null;
});

interface Seen {
  readonly status: number | "cut";
  readonly first: number;
  readonly second: number;
}

/** Sends one request, and tells how the client fared and how many requests each upstream got. */
async function send(
  forward: string,
  body: object,
): Promise<Seen & { response: Response | null; text: string }> {
  const before = [first.counts.accepted, second.counts.accepted];
  let response: Response | null = null;
  let text = "";
  let status: number | "cut";
  try {
    response = await fetch(`${proxy.url(forward)}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    status = response.status;
    text = await response.text();
  } catch {
    status = "cut";
  }
  return {
    status,
    first: first.counts.accepted - before[0]!,
    second: second.counts.accepted - before[1]!,
    response,
    text,
  };
}

/** What the first upstream does; with retries off and on: what the client sees, and whether the second one is asked. */
const table: [
  script: string,
  stream: boolean,
  off: number | "cut",
  on: number | "cut",
  secondIsAsked: boolean,
][] = [
  ["status=400", false, 400, 400, false],
  ["status=401", false, 401, 401, false],
  ["status=404", false, 404, 404, false],
  ["status=408", false, 408, 200, true],
  ["status=429", false, 429, 200, true],
  ["status=500", false, 500, 200, true],
  ["status=501", false, 501, 501, false],
  ["status=502", false, 502, 200, true],
  ["status=503", false, 503, 200, true],
  ["status=504", false, 504, 200, true],
  ["status=529", false, 529, 200, true],
  ["status=529", true, 529, 200, true],
  ["reset=before-head", false, 502, 200, true],
  ["reset=in-head", false, 502, 200, true],
  ["fin=before-head", false, 502, 200, true],
  ["garbage=head", false, 502, 200, true],
  ["reset=20; length", false, 502, 200, true],
  ["status=520", false, 520, 520, false],
  ["error-in-stream", false, 200, 200, false],
  // The head has reached the client where it is passed on at once; with retries it waits for the first byte.
  ["reset=after-head", true, "cut", 200, true],
  ["fin=after-head", true, "cut", 200, true],
  // Bytes have reached the client.
  ["reset=100000; body-bytes=200000; length", false, "cut", "cut", false],
  ["reset=mid-stream; tokens=6; interval=2", true, "cut", "cut", false],
  ["fin=mid-stream; tokens=6; interval=2", true, "cut", "cut", false],
];

describe.each(TRANSPORTS)("over the transport %s", (transport) => {
  beforeAll(async () => {
    proxy = await start(transport);
  });
  afterAll(() => proxy.stop());

  describe("after a failure of the first upstream", () => {
    for (const [script, stream, off, on, secondIsAsked] of table) {
      const kind = stream ? "a stream" : "an answer";
      test(`(${script}) ${kind} without retries gives ${off} and sends nothing twice`, async () => {
        first.script = script;
        const { status, first: firstCount, second: secondCount } = await send("off", { ...question, stream });
        expect({ status, firstCount, secondCount }).toEqual({ status: off, firstCount: 1, secondCount: 0 });
      });
      test(`(${script}) ${kind} with retries gives ${on}`, async () => {
        first.script = script;
        const { status, first: firstCount, second: secondCount } = await send("on", { ...question, stream });
        expect({ status, firstCount, secondCount }).toEqual({
          status: on,
          firstCount: 1,
          secondCount: secondIsAsked ? 1 : 0,
        });
      });
    }
  });

  test("a refused connection moves on to the next upstream, also without retries", async () => {
    const { status, second: asked } = await send("refused-off", question);
    expect({ status, asked }).toEqual({ status: 200, asked: 1 });
  });

  test("an upstream that is alone is tried again, up to the limit of attempts, and its last answer is passed on", async () => {
    first.script = "status=503; header=X-Mark:seen";
    const { status, first: asked, response } = await send("alone", question);
    expect({ status, asked }).toEqual({ status: 503, asked: 1 + retry.attempts });
    expect(response?.headers.get("x-mark")).toBe("seen");
    // A relayed answer is never touched.
    expect(response?.headers.has("x-should-retry")).toBe(false);
  });

  test("an upstream that recovers between two attempts answers", async () => {
    let asked = 0;
    first.script = () => (++asked < 3 ? "status=500" : null);
    const { status, first: count } = await send("alone", question);
    expect({ status, count }).toEqual({ status: 200, count: 3 });
  });

  test("an error of ours tells SDKs not to try again where we have tried already", async () => {
    const tried = await send("refused-alone", question);
    expect(tried.status).toBe(502);
    expect(tried.response?.headers.get("x-should-retry")).toBe("false");
    const notTried = await send("refused-no-retry", question);
    expect(notTried.status).toBe(502);
    expect(notTried.response?.headers.has("x-should-retry")).toBe(false);
  });

  test("Retry-After puts an upstream to rest: the next request goes elsewhere at once", async () => {
    first.script = "status=429; retry-after=30";
    expect((await send("on", question)).status).toBe(200);
    const next = await send("on", question);
    expect({ status: next.status, first: next.first, second: next.second }).toEqual({
      status: 200,
      first: 0,
      second: 1,
    });
  });

  test("of two that ask for time the request waits for the one that is back first", async () => {
    // Both are tried; the one that comes last asks for longer than anybody waits.
    let asked = 0;
    const busy = () => (++asked === 1 ? "status=429; retry-after=1" : "status=429; retry-after=100");
    first.script = () => (asked < 2 ? busy() : null);
    second.script = () => (asked < 2 ? busy() : null);
    const { status, first: firstCount, second: secondCount } = await send("waiting", question);
    expect({ status, count: firstCount + secondCount }).toEqual({ status: 200, count: 3 });
  });

  test.each(rests.map(([script, rests], i) => [script, rests, i] as const))(
    "(%s) puts an upstream to rest: %p",
    async (script, rests, i) => {
      first.script = script;
      await send(`rests-${i}`, question);
      first.script = null;
      const next = await send(`rests-${i}`, question);
      expect([next.first, next.second]).toEqual(rests ? [0, 1] : [1, 0]);
    },
  );

  test("one that rests is asked when the only other one cannot be reached", async () => {
    second.script = "status=429; retry-after=60";
    expect((await send("last-resort", question)).status).toBe(429);
    second.script = null;
    const { status, second: asked } = await send("last-resort", question);
    expect({ status, asked }).toEqual({ status: 200, asked: 1 });
  });

  test("a retry that cannot be made takes nothing from the budget", async () => {
    first.script = "status=429; retry-after=100";
    for (let round = 0; round < 15; round++) expect((await send("saving", question)).first).toBe(1);
    let asked = 0;
    first.script = () => (++asked === 1 ? "status=500" : null);
    const { status, first: count } = await send("saving", question);
    expect({ status, count }).toEqual({ status: 200, count: 2 });
  });

  test("when every upstream rests after a 429 the answer is a 429 with the time of the first to come back", async () => {
    first.script = "status=429; retry-after=20";
    second.script = "status=429; retry-after=40";
    for (let round = 0; round < 2; round++) expect((await send("resting", question)).status).toBe(429);
    const { status, first: asked, second: alsoAsked, response, text } = await send("resting", question);
    expect({ status, asked, alsoAsked }).toEqual({ status: 429, asked: 0, alsoAsked: 0 });
    expect(JSON.parse(text)).toMatchObject({ error: { code: "upstream_limited" } });
    const seconds = Number(response?.headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(10);
    // Rounded up, to a tenth of a second and then to a second.
    expect(seconds).toBeLessThanOrEqual(21);
  });

  test("when every breaker is open the answer is a 503 with the time of the first to become half-open", async () => {
    first.script = "status=500";
    second.script = "status=500";
    for (let round = 0; round < 2; round++) expect((await send("broken", question)).status).toBe(500);
    const { status, first: asked, second: alsoAsked, response, text } = await send("broken", question);
    expect({ status, asked, alsoAsked }).toEqual({ status: 503, asked: 0, alsoAsked: 0 });
    expect(JSON.parse(text)).toMatchObject({ error: { code: "upstream_unavailable" } });
    const seconds = Number(response?.headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(10);
    // Rounded up, to a tenth of a second and then to a second.
    expect(seconds).toBeLessThanOrEqual(21);
  });

  test("the time limit bounds all attempts together", async () => {
    // Each attempt takes most of the limit: there is no time for a second one to end.
    first.script = "delay=700; status=503";
    const { status, first: asked } = await send("late", question);
    expect(status === 503 || status === 504).toBe(true);
    // With a limit of its own for each attempt there would be four.
    expect(asked).toBeLessThanOrEqual(2);
  });
});
