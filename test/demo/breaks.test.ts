import { afterAll, describe, expect, test } from "bun:test";

import { startUpstream } from "../../src/demo/upstream.ts";
import { chatBody, exchangeToEnd, RawConnection, rawPost, until } from "./raw-client.ts";

const upstream = startUpstream({ name: "breaks" });
afterAll(() => upstream.stop());

const CHAT = "/v1/chat/completions";

function play(script: string, stream = true): Promise<RawConnection> {
  return exchangeToEnd(upstream.port, rawPost(CHAT, chatBody(stream), script));
}

/** What comes before a hang: waits for the mark, then goes away, which the silent upstream must notice. */
async function beforeHang(script: string, mark: string): Promise<string> {
  const { aborted } = upstream.counts;
  const connection = await RawConnection.open(upstream.port, rawPost(CHAT, chatBody(true), script));
  await connection.until(({ text }) => text.includes(mark));
  expect(connection.end).toBe(null);
  expect(upstream.counts.inFlight).toBe(1);
  connection.close();
  await until(() => upstream.counts.aborted === aborted + 1);
  expect(upstream.counts.inFlight).toBe(0);
  return connection.text;
}

describe.each([
  ["reset", "reset"],
  ["fin", "fin"],
] as const)("a %s", (action, end) => {
  test.each(["accept", "before-head"])("at %s leaves no byte", async (point) => {
    expect(await play(`${action}=${point}`)).toMatchObject({ text: "", end });
  });

  test("in the head leaves half of a head", async () => {
    const answer = await play(`${action}=in-head`);
    expect(answer.end).toBe(end);
    expect(answer.text).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(answer.text).not.toContain("\r\n\r\n");
  });

  test("after the head leaves no byte of the body", async () => {
    for (const stream of [true, false]) {
      const answer = await play(`${action}=after-head`, stream);
      expect(answer.end).toBe(end);
      expect(answer.text).toEndWith("\r\n\r\n");
      expect(answer.text.split("\r\n\r\n")).toHaveLength(2);
    }
  });

  test("in the middle of a stream leaves half of its tokens and no end", async () => {
    const answer = await play(`tokens=8; token-bytes=20; ${action}=mid-stream`);
    expect(answer.end).toBe(end);
    expect(answer.text.match(/"content":" /g)).toHaveLength(4);
    expect(answer.text).not.toContain("\r\n0\r\n\r\n");
  });

  test("in the middle of a whole answer leaves half of the announced length", async () => {
    const answer = await play(`${action}=mid-stream`, false);
    expect(answer.end).toBe(end);
    const length = Number(/Content-Length: (\d+)/.exec(answer.text)?.[1]);
    expect(answer.text.split("\r\n\r\n")[1]).toHaveLength(Math.floor(length / 2));
  });

  test("after a number of bytes leaves exactly those, and cuts a chunk in two", async () => {
    const whole = await play(`${action}=10`, false);
    expect(whole.end).toBe(end);
    expect(whole.text.split("\r\n\r\n")[1]).toHaveLength(10);
    const streamed = await play(`${action}=10`);
    const [size = "", piece = ""] = (streamed.text.split("\r\n\r\n")[1] ?? "").split("\r\n");
    expect(piece).toHaveLength(10);
    expect(Number.parseInt(size, 16)).toBeGreaterThan(10);
  });

  test("at the end leaves the terminal event but not the final chunk", async () => {
    const answer = await play(`${action}=end`);
    expect(answer.end).toBe(end);
    expect(answer.text).toEndWith("data: [DONE]\n\n\r\n");
  });

  test("of a connection that seems idle comes after a complete answer that did not announce it", async () => {
    const answer = await play(`${action}=idle`);
    expect(answer.end).toBe(end);
    expect(answer.text).toEndWith("\r\n0\r\n\r\n");
    expect(answer.text).not.toContain("Connection: close");
  });
});

describe("a hang", () => {
  test.each(["accept", "before-head"])("at %s leaves nothing, while others are served", async (point) => {
    const { accepted, aborted } = upstream.counts;
    const request = rawPost(CHAT, chatBody(true), `hang=${point}`);
    const connection = await RawConnection.open(upstream.port, request);
    await until(() => upstream.counts.accepted === accepted + 1);
    expect(await (await fetch(`${upstream.url}/health`)).text()).toBe("OK\n");
    expect(connection).toMatchObject({ text: "", end: null });
    connection.close();
    await until(() => upstream.counts.aborted === aborted + 1);
  });

  test("in the head, after it, in the middle and at the end leaves what comes before", async () => {
    expect(await beforeHang("hang=in-head", "HTTP/1.1 200")).not.toContain("\r\n\r\n");
    expect(await beforeHang("hang=after-head", "\r\n\r\n")).toEndWith("\r\n\r\n");
    const half = await beforeHang("hang=mid-stream; tokens=2; token-bytes=9", '" Every..."');
    expect(half).not.toContain("[DONE]");
    expect(await beforeHang("hang=end", "[DONE]\n\n\r\n")).toEndWith("[DONE]\n\n\r\n");
  });
});

describe("garbage", () => {
  test("in place of the head is no HTTP", async () => {
    const answer = await play("garbage=head");
    expect(answer.end).toBe("fin");
    expect(answer.text).not.toContain("HTTP/1.1");
  });

  test("in the body follows whole chunks with something that is none", async () => {
    const answer = await play("garbage=body");
    expect(answer.text).toContain("Transfer-Encoding: chunked");
    expect(answer.text).toContain("\r\nzz this is no chunk size\r\n");
    expect(answer.text).not.toContain("[DONE]");
  });

  test("instead of JSON is well framed", async () => {
    const url = `${upstream.url}${CHAT}`;
    const post = (stream: boolean): Promise<Response> =>
      fetch(url, {
        method: "POST",
        headers: { "x-demo-script": "garbage=json" },
        body: JSON.stringify(chatBody(stream)),
      });
    const whole = await (await post(false)).text();
    expect(() => JSON.parse(whole)).toThrow();
    const streamed = await (await post(true)).text();
    const lines = streamed.match(/^data: \{.*$/gm) ?? [];
    expect(lines.filter((line) => !line.endsWith("}"))).toHaveLength(1);
    expect(streamed).toEndWith("data: [DONE]\n\n");
  });
});
