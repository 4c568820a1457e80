import { describe, expect, test } from "bun:test";

import { ask } from "../support/client-connection.ts";
import { configOf, TRANSPORTS } from "../support/config.ts";
import { startConnectProxy } from "../support/connect-proxy.ts";
import { unusedPort } from "../support/ports.ts";
import { canReadMemory, threadNames } from "../support/process-memory.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";
import { startRawUpstream, type UpstreamConnection } from "../support/raw-upstream.ts";
import { valueOf } from "../support/response-reader.ts";
import { authorityFile, serverTls } from "../support/tls.ts";
import { eventually } from "../support/wait.ts";

/** An upstream that says ok to everything. */
function startOk(tls?: typeof serverTls) {
  return startRawUpstream(
    (_, connection) => connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    tls,
  );
}

/** As many requests at a time to one upstream after another. Gives how many of them were answered well. */
async function burstToEach(proxy: RunningProxy, names: readonly string[], burst: number): Promise<number> {
  let answered = 0;
  for (const name of names) {
    const all = Array.from({ length: burst }, () => ask(proxy.port(name), "/v1/models"));
    for (const { status } of await Promise.all(all)) if (status === 200) answered++;
  }
  return answered;
}

describe("connections to upstreams", () => {
  test.concurrent("are reused", async () => {
    using upstream = startOk();
    await using proxy = await startProxy({
      config: configOf({ main: { upstreams: { up: upstream.url } } }),
      workers: 1,
    });
    for (let round = 0; round < 20; round++) await ask(proxy.port(), "/v1/models");
    expect(upstream.requests.length).toBe(20);
    expect(upstream.connectionCount).toBe(1);
  });

  test.skipIf(!canReadMemory).each(TRANSPORTS)(
    "are a matter of the workers alone, but for fetch (transport: %s)",
    async (transport) => {
      using upstream = startOk();
      await using proxy = await startProxy({
        config: configOf({ main: { upstreams: { up: upstream.url } } }, transport),
        workers: 2,
      });
      for (let round = 0; round < 20; round++) await ask(proxy.port(), "/v1/models");
      // The name that Bun gives to the thread that works for fetch.
      expect(threadNames(proxy.pid).includes("HTTP Client")).toBe(transport === "fetch");
    },
  );

  test.skipIf(Bun.which("prlimit") === null)(
    "are kept as long as there are files for those who have requests",
    async () => {
      const burst = 40;
      const waiting: UpstreamConnection[] = [];
      using upstream = startRawUpstream((_, connection) => {
        waiting.push(connection);
        // All are there at a time: each has a connection of its own.
        if (waiting.length < burst) return;
        for (const one of waiting.splice(0)) one.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
      const names = ["a", "b", "c", "d", "e", "f"];
      const groups = names.map((name) => [name, { upstreams: { [`to-${name}`]: upstream.url } }] as const);
      await using proxy = await startProxy({
        config: configOf(Object.fromEntries(groups), "socket"),
        workers: 1,
        wrapper: ["prlimit", "--nofile=256:256"],
      });
      for (let round = 1; round <= 2; round++)
        expect(await burstToEach(proxy, names, burst)).toBe(names.length * burst);
      // What is kept is what fits.
      expect(upstream.connections.size).toBeGreaterThan(burst);
      expect(upstream.connections.size).toBeLessThan(128);
    },
  );

  test.concurrent("are not reused where keepalive is 0", async () => {
    using upstream = startOk();
    await using proxy = await startProxy({
      config: configOf({ main: { upstreams: { up: upstream.url }, client: { keepalive: 0 } } }),
      workers: 1,
    });
    for (let round = 0; round < 20; round++) await ask(proxy.port(), "/v1/models");
    expect(upstream.connectionCount).toBe(20);
    await eventually("all are closed", () => upstream.connections.size === 0);
  });

  test.concurrent("are not used again when they have been idle for longer than keepalive says", async () => {
    using upstream = startOk();
    await using proxy = await startProxy({
      config: configOf({ main: { upstreams: { up: upstream.url }, client: { keepalive: 1 } } }),
      workers: 1,
    });
    await ask(proxy.port(), "/v1/models");
    await Bun.sleep(2000);
    await ask(proxy.port(), "/v1/models");
    expect(upstream.connectionCount).toBe(2);
  });

  test.concurrent.each([
    ["keepalive", { keepalive: 1 }],
    ["timeout.idle", { timeout: { idle: 5 } }],
  ])(
    "are closed when they have been idle for as long as %s says",
    async (_, client) => {
      using upstream = startOk();
      await using proxy = await startProxy({
        config: configOf({ main: { upstreams: { up: upstream.url }, client } }),
        workers: 1,
      });
      await ask(proxy.port(), "/v1/models");
      expect(upstream.connections.size).toBe(1);
      await eventually("it is closed", () => upstream.connections.size === 0, 20_000);
    },
    30_000,
  );
});

describe("an upstream of https", () => {
  test.concurrent("is reached where its authority is trusted", async () => {
    using upstream = startOk(serverTls);
    await using proxy = await startProxy({
      config: configOf({ main: { upstreams: { up: upstream.url } } }),
      env: { NODE_EXTRA_CA_CERTS: authorityFile },
    });
    const response = await ask(proxy.port(), "/v1/models");
    expect(response.status).toBe(200);
    expect(upstream.requests.at(-1)!.target).toBe("/v1/models");
  });

  test.concurrent.each([
    ["its authority is not trusted", {}],
    ["the environment says not to check", { NODE_TLS_REJECT_UNAUTHORIZED: "0" }],
  ])("is sent nothing where %s", async (_, env) => {
    using upstream = startOk(serverTls);
    await using proxy = await startProxy({
      config: configOf({ main: { upstreams: { up: upstream.url } } }),
      env,
    });
    const response = await ask(proxy.port(), "/v1/models");
    expect(response.status).toBe(502);
    expect(upstream.requests.length).toBe(0);
  });

  test.concurrent("may think for longer than connecting may take", async () => {
    const fetch = () => Bun.sleep(2500).then(() => new Response("thought"));
    const upstream = Bun.serve({ hostname: "127.0.0.1", port: 0, tls: serverTls, fetch });
    const url = `https://127.0.0.1:${upstream.port}`;
    await using proxy = await startProxy({
      config: configOf({ main: { upstreams: { up: url }, client: { timeout: { connect: 1 } } } }),
      env: { NODE_EXTRA_CA_CERTS: authorityFile },
    });
    const response = await ask(proxy.port(), "/v1/models");
    expect([response.status, response.body.toString()]).toEqual([200, "thought"]);
    await upstream.stop(true);
  });
});

const credentials = `Basic ${Buffer.from("gate:p@ss w").toString("base64")}`;
const userinfo = "gate:p%40ss%20w@";

describe("an outbound proxy", () => {
  test.concurrent("is asked for http upstreams by their whole URL, with its credentials", async () => {
    using outbound = startOk();
    await using proxy = await startProxy({
      config: configOf({
        main: {
          upstreams: { up: "http://model.test:8000/v1" },
          client: { proxy: { enabled: true, url: `http://${userinfo}127.0.0.1:${outbound.port}` } },
        },
      }),
    });
    const response = await ask(proxy.port(), "/v1/models?x=1", { headers: ["Proxy-Authorization", "mine"] });
    expect(response.body.toString()).toBe("ok");
    const request = outbound.requests.at(-1)!;
    expect(request.target).toBe("http://model.test:8000/v1/models?x=1");
    expect(valueOf(request.headers, "host")).toBe("model.test:8000");
    expect(valueOf(request.headers, "proxy-authorization")).toBe(credentials);
  });

  test.concurrent("makes the tunnel to https upstreams, and alone sees its credentials", async () => {
    using upstream = startOk(serverTls);
    using outbound = startConnectProxy(upstream.port, credentials);
    await using proxy = await startProxy({
      config: configOf({
        main: {
          upstreams: { up: { url: "https://model.test/v1", auth: { type: "bearer", token: "sk-up" } } },
          client: { proxy: { enabled: true, url: `http://${userinfo}127.0.0.1:${outbound.port}` } },
        },
      }),
      env: { NODE_EXTRA_CA_CERTS: authorityFile },
    });
    const response = await ask(proxy.port(), "/v1/models");
    expect(response.body.toString()).toBe("ok");
    expect(outbound.heads[0]).toStartWith("CONNECT model.test:443 HTTP/1.1");
    expect(outbound.heads.join()).not.toContain("sk-up");
    const request = upstream.requests.at(-1)!;
    expect(request.target).toBe("/v1/models");
    expect(valueOf(request.headers, "host")).toBe("model.test");
    expect(valueOf(request.headers, "authorization")).toBe("Bearer sk-up");
    expect(valueOf(request.headers, "proxy-authorization")).toBeNull();
  });

  test.concurrent("that refuses the credentials makes a 502, and the upstream is sent nothing", async () => {
    using upstream = startOk(serverTls);
    using outbound = startConnectProxy(upstream.port, "Basic other");
    await using proxy = await startProxy({
      config: configOf({
        main: {
          upstreams: { up: "https://model.test/v1" },
          client: { proxy: { enabled: true, url: `http://${userinfo}127.0.0.1:${outbound.port}` } },
        },
      }),
      env: { NODE_EXTRA_CA_CERTS: authorityFile },
    });
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(502);
    expect(upstream.requests.length).toBe(0);
    expect(proxy.stderr).not.toContain("p%40ss");
  });

  test.concurrent("that cannot be reached makes a 502", async () => {
    using upstream = startOk();
    await using proxy = await startProxy({
      config: configOf({
        main: {
          upstreams: { up: upstream.url },
          client: { proxy: { enabled: true, url: `http://127.0.0.1:${unusedPort()}` } },
        },
      }),
    });
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(502);
    expect(upstream.requests.length).toBe(0);
  });

  test.concurrent.each([["HTTP_PROXY"], ["http_proxy"], ["ALL_PROXY"]])(
    "that only the environment names (%s) is not used",
    async (name) => {
      using upstream = startOk();
      await using proxy = await startProxy({
        config: configOf({ main: { upstreams: { up: upstream.url } } }),
        env: { [name]: `http://127.0.0.1:${unusedPort()}` },
      });
      expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
    },
  );

  test.concurrent("is used though the environment would except the upstream (NO_PROXY)", async () => {
    using outbound = startOk();
    await using proxy = await startProxy({
      config: configOf({
        main: {
          upstreams: { up: `http://127.0.0.1:${unusedPort()}` },
          client: { proxy: { enabled: true, url: `http://127.0.0.1:${outbound.port}` } },
        },
      }),
      env: { NO_PROXY: "127.0.0.1,*" },
    });
    expect((await ask(proxy.port(), "/v1/models")).status).toBe(200);
    expect(outbound.requests.length).toBe(1);
  });
});
