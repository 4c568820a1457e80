import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { startUpstream } from "../../src/demo/upstream.ts";
import { ask, ClientConnection, requestBytes } from "../support/client-connection.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { startRawUpstream, type UpstreamConnection } from "../support/raw-upstream.ts";
import { valueOf, valuesOf } from "../support/response-reader.ts";

describe.each(TRANSPORTS)("over the transport %s", (transport) => {
  let answer: (connection: UpstreamConnection) => void = () => {};
  const raw = startRawUpstream((_, connection) => answer(connection));
  const demo = startUpstream({ name: "demo" });
  let proxy: RunningProxy;

  beforeAll(async () => {
    proxy = await startProxy({
      config: configOf(
        {
          raw: { upstreams: { raw: raw.url } },
          demo: { upstreams: { demo: demo.url } },
          whole: { upstreams: { demo: demo.url }, client: { stream: false } },
        },
        transport,
      ),
    });
  });
  afterAll(async () => {
    await proxy.stop();
    raw.stop();
    demo.stop();
  });

  const question = { model: "demo-1", messages: [{ role: "user", content: "Hello" }] };

  describe("responses without a body", () => {
    test.each([
      [204, ""],
      [304, 'ETag: "x"\r\n'],
      [304, 'ETag: "x"\r\nContent-Length: 77\r\n'],
    ])("a %d (%j) has none, and the connection serves the next request", async (status, fields) => {
      answer = (connection) => connection.send(`HTTP/1.1 ${status} \r\n${fields}\r\n`);
      using client = await ClientConnection.open(proxy.port("raw"));
      for (let round = 0; round < 2; round++) {
        const response = await client.send(requestBytes("/v1/models")).response();
        expect(response.status).toBe(status);
        expect(valuesOf(response.headers, "transfer-encoding")).toEqual([]);
        if (status === 304) expect(valueOf(response.headers, "etag")).toBe('"x"');
      }
      expect(client.pending).toBe("");
    });

    test("the answer to a HEAD keeps the length of what a GET would give", async () => {
      answer = (connection) =>
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1234\r\n\r\n");
      using client = await ClientConnection.open(proxy.port("raw"));
      for (let round = 0; round < 2; round++) {
        const bytes = requestBytes("/v1/models", { method: "HEAD" });
        const response = await client.send(bytes).response("HEAD");
        expect(response.status).toBe(200);
        expect(valueOf(response.headers, "content-length")).toBe("1234");
      }
      expect(client.pending).toBe("");
    });

    test("the answer to a HEAD of a chunked response has no body", async () => {
      answer = (connection) =>
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
      using client = await ClientConnection.open(proxy.port("raw"));
      const bytes = requestBytes("/v1/models", { method: "HEAD" });
      for (let round = 0; round < 2; round++) {
        expect((await client.send(bytes).response("HEAD")).status).toBe(200);
      }
      expect(client.pending).toBe("");
    });

    test("an empty body has the length 0", async () => {
      answer = (connection) => connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      const response = await ask(proxy.port("raw"), "/v1/models");
      expect(valueOf(response.headers, "content-length")).toBe("0");
    });
  });

  test.each([
    [1, "application/json"],
    [700, "application/json"],
    [65_536, "audio/mpeg"],
    [1_000_000, "application/json"],
  ])("a body of %d bytes announced by its length (%s) keeps that framing", async (length, type) => {
    answer = (connection) => {
      connection.send(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`);
      connection.send(Buffer.alloc(length, "x"));
    };
    const response = await ask(proxy.port("raw"), "/v1/models");
    expect(response.framing).toBe("length");
    expect(response.body.length).toBe(length);
  });

  test("repeated fields stay repeated, in their order", async () => {
    const cookies = ["a=1; Path=/", "b=2; Expires=Wed, 09 Jun 2031 10:18:14 GMT", "c=3"];
    answer = (connection) =>
      connection.send(
        `HTTP/1.1 200 OK\r\n${cookies.map((cookie) => `Set-Cookie: ${cookie}\r\n`).join("")}Content-Length: 2\r\n\r\nok`,
      );
    const response = await ask(proxy.port("raw"), "/v1/models");
    expect(valuesOf(response.headers, "set-cookie")).toEqual(cookies);
  });

  test("interim responses of an upstream are not taken for the answer", async () => {
    answer = (connection) => {
      connection.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    };
    const response = await ask(proxy.port("raw"), "/v1/models");
    expect(response.status).toBe(200);
    expect(response.body.toString()).toBe("ok");
  });

  const breaks = ["fin=mid-stream", "reset=mid-stream", "fin=end", "reset=end", "fin=1", "reset=1"];

  describe.each(breaks.map((script) => [script]))("an upstream that breaks off (%s)", (script) => {
    test.each([
      ["plain", ""],
      ["compressed", "; encoding=gzip"],
    ])("leaves a %s stream visibly cut, after what had come", async (_, encoding) => {
      const parts = {
        body: JSON.stringify({ ...question, stream: true }),
        headers: ["x-demo-script", `tokens=6; interval=2${encoding}; ${script}`],
      };
      const direct = await ask(demo.port, "/v1/chat/completions", parts);
      const proxied = await ask(proxy.port("demo"), "/v1/chat/completions", parts);
      expect(proxied.status).toBe(200);
      expect(proxied.complete).toBe(false);
      const received = proxied.body.length;
      expect(direct.body.subarray(0, received).equals(proxied.body)).toBe(true);
      // Bytes that arrive together with the end of the connection are lost in `fetch`; what came before is not.
      if (transport === "socket" || script.startsWith("reset")) expect(received).toBe(direct.body.length);
    });

    test("gives a 502 where nothing has reached the client: a group that does not stream", async () => {
      const response = await ask(proxy.port("whole"), "/v1/chat/completions", {
        body: JSON.stringify({ ...question, stream: true }),
        headers: ["x-demo-script", `tokens=6; ${script}`],
      });
      expect(response.status).toBe(502);
      expect(response.complete).toBe(true);
      expect(JSON.parse(response.body.toString()).error.code).toBe("upstream_broken");
    });
  });

  test.each([["fin=mid-stream"], ["reset=mid-stream"], ["fin=1"], ["reset=1"]])(
    "a long body of an announced length that breaks off (%s) is visibly cut",
    async (script) => {
      const response = await ask(proxy.port("demo"), "/v1/models", {
        headers: ["x-demo-script", `body-bytes=300000; ${script}`],
      });
      expect(response.status).toBe(200);
      expect(valueOf(response.headers, "content-length")).toBe("300000");
      expect(response.complete).toBe(false);
      if (transport === "socket" || script.startsWith("reset"))
        expect(response.body.length).toBeGreaterThan(0);
    },
  );

  test("an upstream whose chunks turn into garbage leaves the stream visibly cut", async () => {
    const response = await ask(proxy.port("demo"), "/v1/chat/completions", {
      body: JSON.stringify({ ...question, stream: true }),
      headers: ["x-demo-script", "tokens=6; interval=5; garbage=body"],
    });
    expect(response.status).toBe(200);
    expect(response.complete).toBe(false);
    expect(response.body.toString()).not.toContain("zz");
  });

  test.each([
    ["fin=mid-stream"],
    ["reset=mid-stream"],
    ["fin=1"],
    ["reset=1"],
    ["fin=after-head"],
    ["reset=after-head"],
  ])(
    "a small body of an announced length that is cut short (%s) is a 502, as nothing has been passed on",
    async (script) => {
      const response = await ask(proxy.port("demo"), "/v1/chat/completions", {
        body: JSON.stringify(question),
        headers: ["x-demo-script", `length; ${script}`],
      });
      expect(response.status).toBe(502);
    },
  );

  test.each([
    ["fin=before-head"],
    ["reset=before-head"],
    ["fin=in-head"],
    ["reset=in-head"],
    ["garbage=head"],
    ["reset=accept"],
  ])("an upstream without a response (%s) is a 502", async (script) => {
    const response = await ask(proxy.port("demo"), "/v1/chat/completions", {
      body: JSON.stringify(question),
      headers: ["x-demo-script", script],
    });
    expect(response.status).toBe(502);
    expect(JSON.parse(response.body.toString()).error.code).toBe("upstream_broken");
  });

  test("a body that the end of the connection ends is passed on whole, and ended cleanly", async () => {
    for (const stream of [true, false]) {
      const parts = { body: JSON.stringify({ ...question, stream }), headers: ["x-demo-script", "close"] };
      const direct = await ask(demo.port, "/v1/chat/completions", parts);
      const proxied = await ask(proxy.port("demo"), "/v1/chat/completions", parts);
      expect(direct.framing).toBe("close");
      expect(proxied.complete).toBe(true);
      expect(proxied.body.equals(direct.body)).toBe(true);
    }
  });

  // In the client of the runtime such a reset looks like a clean end.
  test.skipIf(transport === "fetch")(
    "a body that should end with the connection is cut where that is reset",
    async () => {
      const response = await ask(proxy.port("demo"), "/v1/chat/completions", {
        body: JSON.stringify({ ...question, stream: true }),
        headers: ["x-demo-script", "close; tokens=6; interval=2; reset=mid-stream"],
      });
      expect(response.complete).toBe(false);
    },
  );

  test("an upstream that closes its connection after a complete answer has answered", async () => {
    for (let round = 0; round < 10; round++) {
      const response = await ask(proxy.port("demo"), "/v1/chat/completions", {
        body: JSON.stringify(question),
        headers: ["x-demo-script", "fin=idle"],
      });
      expect(response.status).toBe(200);
      expect(response.complete).toBe(true);
    }
  });
});
