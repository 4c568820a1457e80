import { afterEach, describe, expect, test } from "bun:test";

import { type DemoUpstream, startUpstream, type UpstreamOptions } from "../../src/demo/upstream.ts";
import { chatBody, exchangeToEnd, RawConnection, rawPost, until } from "./raw-client.ts";

const started: DemoUpstream[] = [];
afterEach(() => {
  for (const upstream of started.splice(0)) upstream.stop();
});

function start(options: Partial<UpstreamOptions> = {}): DemoUpstream {
  const upstream = startUpstream({ name: "unit", ...options });
  started.push(upstream);
  return upstream;
}

const CHAT = "/v1/chat/completions";

function post(upstream: DemoUpstream, init: RequestInit = {}): Promise<Response> {
  return fetch(upstream.url + CHAT, { method: "POST", body: JSON.stringify(chatBody(false)), ...init });
}

async function statuses(upstream: DemoUpstream, count: number, init: RequestInit = {}): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count; i++) {
    const response = await post(upstream, init).catch(() => null);
    await response?.arrayBuffer();
    found.push(response?.status ?? 0);
  }
  return found;
}

/** Gives these numbers in turn, over and over. */
function sequence(...numbers: number[]): () => number {
  let at = 0;
  return () => numbers[at++ % numbers.length] as number;
}

describe("what was received", () => {
  test("is recorded as it came", async () => {
    const upstream = start();
    await (await post(upstream, { headers: { "X-Mine": "1", authorization: "Bearer k" } })).text();
    const [request] = upstream.requests;
    expect(request).toMatchObject({ method: "POST", target: CHAT, outcome: "finished" });
    expect(request?.headers).toContain("X-Mine");
    expect(request?.headers).toContain("Bearer k");
    expect(JSON.parse(Buffer.from(request?.body as Uint8Array).toString())).toEqual(chatBody(false));
    expect(upstream.counts).toEqual({ accepted: 1, finished: 1, aborted: 0, inFlight: 0 });
  });

  test("is kept up to a number of requests, the last ones", async () => {
    const upstream = start({ recordedMax: 3 });
    for (let i = 0; i < 5; i++) await (await fetch(`${upstream.url}/health?${i}`)).text();
    expect(upstream.requests.map((request) => request.target)).toEqual([
      "/health?2",
      "/health?3",
      "/health?4",
    ]);
    upstream.clearRequests();
    expect(upstream.requests).toEqual([]);
  });

  test("is kept up to a number of body bytes, the last ones", async () => {
    const upstream = start({ recordedBytesMax: 1000 });
    for (const size of [400, 500, 600]) await (await post(upstream, { body: "x".repeat(size) })).text();
    expect(upstream.requests.map((request) => request.body.length)).toEqual([0, 0, 600]);
    await (await post(upstream, { body: "x".repeat(300) })).text();
    expect(upstream.requests.map((request) => request.body.length)).toEqual([0, 0, 600, 300]);
  });

  test("holds a body that came in chunks", async () => {
    const upstream = start();
    const json = JSON.stringify(chatBody(false));
    const chunks = `${(5).toString(16)}\r\n${json.slice(0, 5)}\r\n${(json.length - 5).toString(16)}\r\n${json.slice(5)}\r\n0\r\n\r\n`;
    const head = `POST ${CHAT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
    const { text } = await exchangeToEnd(upstream.port, head + chunks);
    expect(text).toStartWith("HTTP/1.1 200 OK");
    expect(upstream.requests[0]?.body.length).toBe(json.length);
  });

  test("counts a client that goes away", async () => {
    const upstream = start();
    upstream.script = "tokens=1000; interval=5";
    const request = rawPost(CHAT, chatBody(true));
    const connection = await RawConnection.open(upstream.port, request);
    await connection.until(({ text }) => text.includes("data:"));
    expect(upstream.counts.inFlight).toBe(1);
    connection.close();
    await until(() => upstream.counts.aborted === 1);
    expect(upstream.counts).toEqual({ accepted: 1, finished: 0, aborted: 1, inFlight: 0 });
    expect(upstream.requests[0]?.outcome).toBe("aborted");
  });
});

describe("a script", () => {
  test("comes from the header, else from the test, else there is none", async () => {
    const upstream = start();
    const header = { "x-demo-script": "status=418" };
    expect(await statuses(upstream, 1)).toEqual([200]);
    upstream.script = "status=500";
    expect(await statuses(upstream, 1)).toEqual([500]);
    upstream.script = { status: 502 };
    expect(await statuses(upstream, 1)).toEqual([502]);
    expect(await statuses(upstream, 1, { headers: header })).toEqual([418]);
    upstream.script = null;
    expect(await statuses(upstream, 1)).toEqual([200]);
  });

  test("may be a function of the request, its body included", async () => {
    const upstream = start();
    let calls = 0;
    upstream.script = (request) => {
      calls++;
      return Buffer.from(request.body).includes("Paris") && calls < 3 ? "status=503" : null;
    };
    expect(await statuses(upstream, 3)).toEqual([503, 503, 200]);
  });

  test("that is wrong is a 400 which says why", async () => {
    const response = await post(start(), { headers: { "x-demo-script": "statos=1" } });
    expect(response.status).toBe(400);
    const answer = (await response.json()) as { error: { message: string } };
    expect(answer.error.message).toStartWith('x-demo-script: unknown item "statos"');
  });

  test("concerns the upstream it names only", async () => {
    const headers = { "x-demo-script": "upstream=one; status=503" };
    expect(await statuses(start({ name: "one" }), 1, { headers })).toEqual([503]);
    expect(await statuses(start({ name: "two" }), 1, { headers })).toEqual([200]);
  });

  test("obeys chance", async () => {
    const upstream = start({ random: sequence(0.1, 0.5, 0.29, 0.3) });
    const headers = { "x-demo-script": "chance=0.3; status=503" };
    expect(await statuses(upstream, 4, { headers })).toEqual([503, 200, 503, 200]);
  });

  test("adds headers, replaces the answer's own, and repeats its own", async () => {
    const script =
      'header=Content-Type:text/weird; header="Set-Cookie: a=1; Path=/"; header=Set-Cookie:b=2; retry-after=7';
    const response = await post(start(), { headers: { "x-demo-script": script } });
    expect(response.headers.get("content-type")).toBe("text/weird");
    expect(response.headers.getSetCookie()).toEqual(["a=1; Path=/", "b=2"]);
    expect(response.headers.get("retry-after")).toBe("7");
  });

  test("can have the answer before the body of the request", async () => {
    const upstream = start();
    const head = `POST ${CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n`;
    const { text } = await exchangeToEnd(upstream.port, `${head}x-demo-script: early; status=413\r\n\r\n`);
    expect(text).toStartWith("HTTP/1.1 413 Content Too Large\r\n");
    expect(text).toContain("Connection: close");
  });
});

describe("time", () => {
  const HOUR_MS = 3_600_000;

  /** Milliseconds from the request until the mark could be read: at least what the script waits before it. */
  async function timeTo(upstream: DemoUpstream, script: string, mark: string): Promise<number> {
    const begun = performance.now();
    const connection = await RawConnection.open(upstream.port, rawPost(CHAT, chatBody(true), script));
    await connection.until(({ text }) => text.includes(mark));
    connection.close();
    return performance.now() - begun;
  }

  test("passes before the head, before the first token, and between tokens, as the script says", async () => {
    const upstream = start();
    expect(await timeTo(upstream, "delay=50", "HTTP/1.1")).toBeGreaterThan(48);
    expect(await timeTo(upstream, "ttft=50", "data:")).toBeGreaterThan(48);
    expect(await timeTo(upstream, "tokens=3; interval=25", "[DONE]")).toBeGreaterThan(48);
  });

  test("does not hold back what comes before it", async () => {
    const upstream = start();
    await timeTo(upstream, `ttft=${HOUR_MS}`, "\r\n\r\n");
    await timeTo(upstream, `tokens=2; interval=${HOUR_MS}`, '"content":"Hello"');
    await timeTo(upstream, `drip=5; drip-interval=${HOUR_MS}`, "data:");
  });

  test("passes as the upstream's own settings say, unless the script says otherwise", async () => {
    const slow = start({ latencyMs: 20, latencyJitterMs: 40, random: () => 0.5, firstTokenMs: 20 });
    expect(await timeTo(slow, "", "data:")).toBeGreaterThan(57);
    const late = start({ latencyMs: HOUR_MS, firstTokenMs: HOUR_MS, tokenIntervalMs: HOUR_MS });
    await timeTo(late, "delay=0; ttft=0; interval=0", "[DONE]");
  });

  test("before the first token can be filled with comments, or pings", async () => {
    const upstream = start();
    const headers = { "x-demo-script": "ttft=50; ping-interval=10" };
    const body = JSON.stringify(chatBody(true));
    const chat = await (await post(upstream, { headers, body })).text();
    expect(chat).toStartWith(": keep-alive\n\n: keep-alive\n\n: keep-alive\n\n");
    const response = await fetch(`${upstream.url}/v1/messages`, { method: "POST", headers, body });
    expect(await response.text()).toStartWith('event: ping\ndata: {"type":"ping"}\n\nevent: ping\n');
  });
});

describe("an upstream", () => {
  test("fails as often as it was told to, in several ways", async () => {
    const upstream = start({ failureRate: 0.5, random: sequence(0.4, 0, 0.6, 0.1, 0.5, 0.4, 0.99) });
    expect(await statuses(upstream, 4)).toEqual([500, 200, 503, 0]);
    expect((await fetch(`${upstream.url}/v1/models`)).status).toBe(200);
  });

  test("says who it is, and gives each answer an id of its own", async () => {
    const upstream = start({ name: "who" });
    const responses = [await post(upstream), await post(upstream)];
    expect(responses.map((response) => response.headers.get("x-demo-upstream"))).toEqual(["who", "who"]);
    const ids = new Set(responses.map((response) => response.headers.get("x-request-id")));
    expect(ids.size).toBe(2);
  });

  test("answers equal requests alike and different ones differently, on kept connections", async () => {
    const upstream = start();
    const of = async (content: string): Promise<string> => {
      const body = JSON.stringify({ model: "m", messages: [{ role: "user", content }] });
      return (await post(upstream, { body })).text();
    };
    const first = await of("apples");
    for (let i = 0; i < 300; i++) expect(await of(`pears ${i}`)).toContain(`pears ${i}`);
    expect(await of("apples")).toBe(first);
    const models = await fetch(`${upstream.url}/v1/models`);
    const version = await fetch(`${upstream.url}/api/version`);
    expect(await models.text()).not.toBe(await version.text());
  });

  test("that is stopped closes what is open and refuses what is new", async () => {
    const upstream = start();
    const connection = await RawConnection.open(
      upstream.port,
      rawPost(CHAT, chatBody(false), "hang=before-head"),
    );
    await until(() => upstream.counts.inFlight === 1);
    upstream.stop();
    await connection.until(() => false);
    await until(() => upstream.counts.inFlight === 0);
    expect(await statuses(upstream, 1)).toEqual([0]);
  });
});
