import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { type DemoUpstream, startUpstream } from "../../src/demo/upstream.ts";
import { canariesIn, canary } from "../support/canaries.ts";
import { configOf, type Keys } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { type RawRequest, type RawUpstream, startRawUpstream } from "../support/raw-upstream.ts";
import { serverTls } from "../support/tls.ts";

const NAMES = ["bearer", "basic", "open", "spare"] as const;
type Name = (typeof NAMES)[number];

const json = (status: string, body: string) =>
  `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** Says which key it was given, as providers do. */
function quoteKey({ headers }: RawRequest): string {
  const key = headers[headers.findIndex((name) => name.toLowerCase() === "authorization") + 1];
  return `Incorrect API key provided: ${key}`;
}

/** Upstreams and a configuration with a secret in every place that can hold one. */
export class SecretsSetup {
  readonly config: Keys;
  readonly env = {
    CANARY_TOKEN: canary("env-token"),
    CANARY_USER: canary("env-user"),
    CANARY_UNUSED: canary("env-unused"),
    HTTP_PROXY: `http://user:${canary("env-proxy")}@127.0.0.1:9`,
    HTTPS_PROXY: `http://user:${canary("env-proxy")}@127.0.0.1:9`,
  };
  private readonly demos = new Map<Name, DemoUpstream>(NAMES.map((name) => [name, startUpstream({ name })]));
  /** Answers that its key is wrong, and quotes it. */
  private readonly quoting = startRawUpstream((request, connection) => {
    const error = JSON.stringify({ error: { message: quoteKey(request), type: "invalid_request_error" } });
    if (request.target.includes("/chat/")) connection.send(json("401 Unauthorized", error));
    else
      connection.send(
        `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: ${error}\n\n`,
      );
    connection.end();
  });
  private readonly untrusted = startRawUpstream(() => {}, serverTls);
  /** An outbound proxy that wants other credentials. */
  private readonly outbound = startRawUpstream((_, connection) => {
    connection.send(json("407 Proxy Authentication Required", "{}"));
    connection.end();
  });

  constructor(directory: string, transport: string) {
    const file = join(directory, "password");
    writeFileSync(file, `${canary("file-password")}\n`);
    const base = Object.fromEntries([...this.demos].map(([name, { url }]) => [name, url])) as Record<
      Name,
      string
    >;
    const bearer = {
      url: `${base.bearer}?key=${canary("base-query")}`,
      auth: { type: "bearer", token: "${CANARY_TOKEN}" },
      headers: [
        { op: "replace", key: "X-Team", value: canary("header-value") },
        { op: "insert", key: "X-Inserted", value: `\${CANARY_ABSENT:-${canary("env-default")}}` },
      ],
      breaker: { threshold: 1, cooldown: 1, min_requests: 1 },
    };
    const basic = {
      url: base.basic,
      auth: { type: "basic", username: "${CANARY_USER}", password: `\${file:${file}}` },
    };
    const keyed = (origin: string, name: string) => `${origin}/?key=${canary(`${name}-query`)}`;
    const proxied = (port: number, name: string) => ({
      proxy: {
        enabled: true,
        url: `http://${canary(`${name}-user`)}:${canary(`${name}-password`)}@127.0.0.1:${port}`,
      },
    });
    const retry = { enabled: true, attempts: 3, initial: 100, budget: 1 };
    this.config = configOf(
      {
        mixed: { strategy: "failover", upstreams: { bearer, basic, open: base.open }, client: { retry } },
        userinfo: {
          upstreams: {
            userinfo: base.spare.replace(
              "http://",
              `http://${canary("url-user")}:${canary("url-password")}@`,
            ),
          },
        },
        hanging: {
          upstreams: { hanging: { ...bearer, url: keyed(base.spare, "hanging") } },
          client: { timeout: { request: 1 } },
        },
        quoting: { upstreams: { quoting: { ...bearer, url: this.quoting.url } } },
        refused: { upstreams: { refused: keyed(`http://127.0.0.1:${unusedPort()}`, "refused") } },
        "no-tls": { upstreams: { "no-tls": keyed(base.open.replace("http:", "https:"), "no-tls") } },
        untrusted: { upstreams: { untrusted: keyed(this.untrusted.url, "untrusted") } },
        "no-name": { upstreams: { "no-name": keyed("http://no-such-host.invalid", "no-name") } },
        "dead-proxy": {
          upstreams: { far: "http://127.0.0.1:9" },
          client: proxied(unusedPort(), "dead-proxy"),
        },
        proxied: { upstreams: { far: "http://127.0.0.1:9" }, client: proxied(this.outbound.port, "proxy") },
        tunnelled: {
          upstreams: { tunnelled: { ...bearer, url: keyed("https://127.0.0.1:9", "tunnelled") } },
          client: proxied(this.outbound.port, "tunnel"),
        },
        limited: {
          upstreams: { open: base.open },
          forward: { ratelimit: { enabled: true, per_second: 1, burst: 1 }, max_body_size: 1024 },
        },
      },
      transport,
    );
    const groups = this.config["upstream_groups"] as Record<string, Record<string, unknown>>[];
    // An outbound proxy is nothing for sockets.
    for (const { http_client: client } of groups)
      if (client!["proxy"] !== undefined) client!["transport"] = "auto";
  }

  /** Secrets that requests to an upstream held, without those in their bodies. */
  received(name: Name | "quoting" | "outbound" | "untrusted"): string[] {
    const raw: Record<string, RawUpstream> = {
      quoting: this.quoting,
      outbound: this.outbound,
      untrusted: this.untrusted,
    };
    const requests = raw[name]?.requests ?? this.demos.get(name as Name)!.requests;
    const texts = [...requests].map(({ target, headers }) => [target, ...headers].join("\n"));
    return canariesIn(texts.join("\n"));
  }

  stop(): void {
    for (const upstream of [...this.demos.values(), this.quoting, this.untrusted, this.outbound])
      upstream.stop();
  }
}
