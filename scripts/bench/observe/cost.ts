// What observing costs: the same source built with and without metrics and usage reading, under the same load, in turn.
// Prints the CPU time of the proxy's process per request and per relayed token, and the median of the ratios of all rounds.
//
//     bun scripts/bench/observe/cost.ts [rounds] [words of the names of cases, such as stream]
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { BunPlugin, Subprocess } from "bun";

import { load, rawRequest } from "../../../test/support/load-client.ts";
import { parseStat } from "../procfs.ts";
import { pairwise, type Spread, spreadOf } from "../statistics.ts";

const ROOT = join(import.meta.dir, "../../..");
const ROUNDS = Number(process.argv[2] ?? 15);
const TICKS_PER_SECOND = 100;
const ASKED = process.argv.slice(3);
const TOKENS = 200;

interface Case {
  readonly name: string;
  readonly unit: string;
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly script: string;
  readonly connections: number;
  readonly total: number;
  readonly unitsPerAnswer: number;
}

const messages = [{ role: "user", content: "What is the capital of France?" }];
const stream = { model: "demo-1", messages, stream: true, stream_options: { include_usage: true } };
const CASES: readonly Case[] = [
  {
    name: "JSON completion, 32 connections",
    unit: "request",
    path: "/v1/chat/completions",
    body: { model: "demo-1", messages },
    script: "tokens=40",
    connections: 32,
    total: 20_000,
    unitsPerAnswer: 1,
  },
  {
    name: "embedding, 32 connections",
    unit: "request",
    path: "/v1/embeddings",
    body: { model: "demo-1", input: "x" },
    script: "tokens=1",
    connections: 32,
    total: 20_000,
    unitsPerAnswer: 1,
  },
  {
    name: "OpenAI stream, 32 at a time, a token every 2 ms",
    unit: "token",
    path: "/v1/chat/completions",
    body: stream,
    script: `tokens=${TOKENS}; interval=2`,
    connections: 32,
    total: 192,
    unitsPerAnswer: TOKENS,
  },
  {
    name: "Anthropic stream, 32 at a time, a token every 2 ms",
    unit: "token",
    path: "/v1/messages",
    body: { model: "demo-1", messages, stream: true, max_tokens: 1000 },
    script: `tokens=${TOKENS}; interval=2`,
    connections: 32,
    total: 192,
    unitsPerAnswer: TOKENS,
  },
];

/** Puts modules that do nothing in the place of those that observe. */
const withoutObservation: BunPlugin = {
  name: "without observation",
  setup(build) {
    for (const name of ["observation", "reading", "attempt"])
      build.onResolve({ filter: new RegExp(`/${name}\\.ts$`) }, ({ importer, path }) =>
        importer.includes("/src/proxy/") && path.startsWith("./")
          ? { path: join(import.meta.dir, "off", `${name}.ts`) }
          : undefined,
      );
  },
};

async function build(outfile: string, plugins: BunPlugin[]): Promise<void> {
  const result = await Bun.build({
    entrypoints: [`${ROOT}/src/main.ts`, `${ROOT}/src/worker.ts`],
    minify: true,
    bytecode: true,
    format: "esm",
    define: { BUILD_COMMIT: '"bench"' },
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
    plugins,
  });
  if (!result.success) throw new AggregateError(result.logs);
}

/** CPU time that a process has used, threads that have ended included, in microseconds. */
function cpuUs(pid: number): number {
  return (parseStat(readFileSync(`/proc/${pid}/stat`, "latin1"))!.ticks / TICKS_PER_SECOND) * 1e6;
}

async function startProxy(
  binary: string,
  directory: string,
  upstreamPort: number,
): Promise<{ child: Subprocess; port: number }> {
  const file = join(directory, "bench.yaml");
  const config = {
    http_server: {
      forwards: [{ name: "bench", port: 0, address: "127.0.0.1", upstream_group: "bench" }],
      admin: { port: 0, address: "127.0.0.1" },
    },
    upstreams: [{ name: "bench", url: `http://127.0.0.1:${upstreamPort}` }],
    upstream_groups: [{ name: "bench", upstreams: [{ name: "bench" }] }],
  };
  writeFileSync(file, JSON.stringify(config));
  const child = Bun.spawn([binary, "--workers", "1", "--config", file], {
    stdout: "ignore",
    stderr: "pipe",
    env: {},
  });
  let log = "";
  for await (const chunk of child.stderr) {
    log += Buffer.from(chunk).toString();
    const port = /forward=bench address=\S+ port=(\d+)/.exec(log)?.[1];
    if (port !== undefined && log.includes("admin=true")) return { child, port: Number(port) };
  }
  throw new Error(log);
}

function requestOf({ path, body, script }: Case): Buffer {
  return rawRequest("POST", path, [`x-demo-script: ${script}`], JSON.stringify(body));
}

const directory = mkdtempSync(join(tmpdir(), "llmproxy-bench-"));
const binaries = [join(directory, "off"), join(directory, "on")] as const;
await build(binaries[0], [withoutObservation]);
await build(binaries[1], []);
const upstream = Bun.spawn([process.execPath, join(import.meta.dir, "upstream.ts")], {
  stdout: "pipe",
  stderr: "inherit",
});
const upstreamPort = Number(
  new TextDecoder().decode((await upstream.stdout.getReader().read()).value).trim(),
);
const proxies = await Promise.all(binaries.map((binary) => startProxy(binary, directory, upstreamPort)));

for (const test of CASES.filter(({ name }) => ASKED.every((word) => name.includes(word)))) {
  const request = requestOf(test);
  const costs: [number[], number[]] = [[], []];
  // The first round warms up. The two take turns at being first, so that a disturbance hits both alike.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const which of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const { child, port } = proxies[which]!;
      const before = cpuUs(child.pid);
      await load(port, test.connections, test.total, () => request);
      const cost = (cpuUs(child.pid) - before) / (test.total * test.unitsPerAnswer);
      if (round > 0) costs[which as 0 | 1].push(cost);
    }
  }
  const [off, on] = [spreadOf(costs[0])!, spreadOf(costs[1])!];
  const added = spreadOf(pairwise(costs[1], costs[0], (on, off) => (on / off - 1) * 100) as number[])!;
  const us = ({ median, min, max }: Spread) =>
    `${median.toFixed(1)} us (${min.toFixed(1)} to ${max.toFixed(1)})`;
  console.log(
    `${test.name}, per ${test.unit}: off ${us(off)}, on ${us(on)}: ` +
      `${added.median.toFixed(1)} % (${added.min.toFixed(1)} to ${added.max.toFixed(1)})`,
  );
}
for (const { child } of proxies) child.kill("SIGTERM");
upstream.kill();
rmSync(directory, { recursive: true, force: true });
