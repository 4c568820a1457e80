import { startUpstream } from "./upstream.ts";
import type { DemoUpstream, UpstreamOptions } from "./upstream.ts";

/** The cast of `--demo`: one that is quick, one that is slower, one that fails now and then. */
const CAST: readonly UpstreamOptions[] = [
  { name: "quick", latencyMs: 20, latencyJitterMs: 20, firstTokenMs: 30, tokenIntervalMs: 25 },
  { name: "slow", latencyMs: 250, latencyJitterMs: 150, firstTokenMs: 200, tokenIntervalMs: 70 },
  {
    name: "flaky",
    latencyMs: 30,
    latencyJitterMs: 30,
    firstTokenMs: 40,
    tokenIntervalMs: 30,
    failureRate: 0.25,
  },
];
const RECORDED_MAX = 16;
const RECORDED_BYTES_MAX = 1024 * 1024;

/** Starts the upstreams of `--demo` on free ports of the loopback address. */
export function startDemoUpstreams(): DemoUpstream[] {
  return CAST.map((options) =>
    startUpstream({ ...options, recordedMax: RECORDED_MAX, recordedBytesMax: RECORDED_BYTES_MAX }),
  );
}

/**
 * The configuration of `--demo`, as the YAML file would hold it. It listens on the loopback address only: a
 * demonstration has no keys to guard it. The names of the upstreams must be unique.
 */
export function demoConfig(
  upstreams: readonly { readonly name: string; readonly url: string }[],
  forwardPort: number,
  adminPort: number,
  address = "127.0.0.1",
): Record<string, unknown> {
  return {
    http_server: {
      forwards: [{ name: "demo", address, port: forwardPort, upstream_group: "demo" }],
      admin: { address, port: adminPort },
    },
    upstreams: upstreams.map(({ name, url }) => ({
      name,
      url,
      breaker: { threshold: 0.5, cooldown: 5 },
    })),
    upstream_groups: [
      {
        name: "demo",
        upstreams: upstreams.map(({ name }) => ({ name })),
        balance: { strategy: "response_aware" },
        http_client: { retry: { enabled: true, attempts: 3, initial: 100 } },
      },
    ],
  };
}

/** Where everything of a demonstration listens. */
export interface DemoAddresses {
  /** `http://127.0.0.1:3000` */
  readonly forwardUrl: string;
  readonly adminUrl: string;
  readonly upstreams: readonly { readonly name: string; readonly url: string }[];
  /** Sentences that come first, e.g. that a port was taken. */
  readonly notes?: readonly string[];
}

/** The text that `--demo` prints once all is listening, with lines to paste. */
export function demoBanner(addresses: DemoAddresses): string {
  const { forwardUrl, adminUrl, upstreams, notes = [] } = addresses;
  const names = upstreams.map(({ name, url }) => `    ${name.padEnd(6)} ${url}`);
  const question = '"messages":[{"role":"user","content":"Hello, who are you?"}]';
  const chat = `curl -i ${forwardUrl}/v1/chat/completions`;
  const lines = [
    ...notes.map((note) => `note: ${note}`),
    "LLMProxy demo: no key, no account, no network needed. Ctrl-C ends it.",
    "",
    `  forward  ${forwardUrl}   (response_aware, breaker and retry on)`,
    `  admin    ${adminUrl}`,
    "  scripted upstreams (one quick, one slower, one that fails now and then)",
    ...names,
    "",
    "Paste into another terminal; the field X-Demo-Upstream says who answered.",
    "",
    "  a chat completion",
    `    ${chat} -d '{"model":"demo-1",${question}}'`,
    "  streamed",
    `    curl -N ${forwardUrl}/v1/chat/completions -d '{"model":"demo-1","stream":true,${question}}'`,
    "  the Anthropic API, streamed",
    `    curl -N ${forwardUrl}/v1/messages -d '{"model":"demo-1","max_tokens":64,"stream":true,${question}}'`,
    "  an upstream that is down: another one takes over",
    `    ${chat} -H 'x-demo-script: upstream=quick; status=503' -d '{"model":"demo-1",${question}}'`,
    "  a stream that breaks half way: the client sees it",
    `    curl -N ${forwardUrl}/v1/chat/completions -H 'x-demo-script: reset=mid-stream' \\`,
    `      -d '{"model":"demo-1","stream":true,${question}}'`,
    "  what the operator sees",
    `    curl ${adminUrl}/metrics`,
    "",
  ];
  return lines.join("\n");
}
