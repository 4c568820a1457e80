// What observing costs: requests with and without metrics and usage reading, and with and without a line in the access
// log, in turn, through one process that does either on demand, as two processes of the same build differ by more than
// what is measured. Prints the CPU time of the proxy's process per request and per relayed token, and the median of the
// ratios of all rounds with its extremes and its error.
//
//     bun scripts/bench/observe/cost.ts [rounds] [words of the names of cases, such as stream]
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { BunPlugin, Subprocess } from "bun";

import { load, rawRequest } from "../../../test/support/load-client.ts";
import { coresOf, sharesBetween, usageOf } from "../procfs.ts";
import { pairwise, type Spread, spreadOf } from "../statistics.ts";

const ROOT = join(import.meta.dir, "../../..");
const ROUNDS = Number(process.argv[2] ?? 40);
/** Rounds before those that count, while the code is compiled. */
const WARM_ROUNDS = 8;
const ASKED = process.argv.slice(3);
const TOKENS = 200;
/** Within this time the last lines of an access log are written, too. */
const LINES_LATE_MS = 150;

/** What is done for a request; `metrics`: and usage reading. */
type Observed = "nothing" | "metrics" | "metrics-and-log";

interface Case {
  readonly name: string;
  readonly off: Observed;
  readonly on: Observed;
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
const metrics = { off: "nothing", on: "metrics" } as const;
const accessLog = { off: "metrics", on: "metrics-and-log" } as const;
const completion = {
  unit: "request",
  path: "/v1/chat/completions",
  body: { model: "demo-1", messages },
  script: "tokens=40",
  total: 4_000,
  unitsPerAnswer: 1,
};
const CASES: readonly Case[] = [
  { name: "JSON completion, 32 connections", ...metrics, ...completion, connections: 32 },
  { name: "access log, JSON completion, 32 connections", ...accessLog, ...completion, connections: 32 },
  { name: "access log, JSON completion, 256 connections", ...accessLog, ...completion, connections: 256 },
  {
    name: "embedding, 32 connections",
    ...metrics,
    unit: "request",
    path: "/v1/embeddings",
    body: { model: "demo-1", input: "x" },
    script: "tokens=1",
    connections: 32,
    total: 4_000,
    unitsPerAnswer: 1,
  },
  {
    name: "OpenAI stream, 32 at a time, a token every 2 ms",
    ...metrics,
    unit: "token",
    path: "/v1/chat/completions",
    body: stream,
    script: `tokens=${TOKENS}; interval=2`,
    connections: 32,
    total: 64,
    unitsPerAnswer: TOKENS,
  },
  {
    name: "Anthropic stream, 32 at a time, a token every 2 ms",
    ...metrics,
    unit: "token",
    path: "/v1/messages",
    body: { model: "demo-1", messages, stream: true, max_tokens: 1000 },
    script: `tokens=${TOKENS}; interval=2`,
    connections: 32,
    total: 64,
    unitsPerAnswer: TOKENS,
  },
];

/** Puts modules that observe on demand in the place of those that do so always. */
const onDemand: BunPlugin = {
  name: "observation on demand",
  setup(build) {
    for (const name of ["observation", "reading"])
      build.onResolve({ filter: new RegExp(`/${name}\\.ts$`) }, ({ importer, path }) =>
        importer.includes("/src/proxy/") && path.startsWith("./")
          ? { path: join(import.meta.dir, "switch", `${name}.ts`) }
          : undefined,
      );
  },
};

async function build(outfile: string): Promise<void> {
  const result = await Bun.build({
    entrypoints: [`${ROOT}/src/main.ts`, `${ROOT}/src/worker.ts`],
    minify: true,
    bytecode: true,
    format: "esm",
    define: { BUILD_COMMIT: '"bench"' },
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
    plugins: [onDemand],
  });
  if (!result.success) throw new AggregateError(result.logs);
}

/** CPU time that all threads of a process use while something is done and soon after it, in microseconds. */
async function cpuUsOf(pid: number, work: () => Promise<unknown>): Promise<number> {
  const before = usageOf(pid);
  await work();
  await Bun.sleep(LINES_LATE_MS);
  const after = usageOf(pid);
  return coresOf(sharesBetween(before, after)) * (after.atMs - before.atMs) * 1000;
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
      access_log: { enabled: true },
    },
    upstreams: [{ name: "bench", url: `http://127.0.0.1:${upstreamPort}` }],
    upstream_groups: [{ name: "bench", upstreams: [{ name: "bench" }] }],
  };
  writeFileSync(file, JSON.stringify(config));
  const child = Bun.spawn([binary, "--workers", "1", "--config", file], {
    stdout: "pipe",
    stderr: "pipe",
    env: {},
  });
  // The access log is taken as fast as it comes.
  void child.stdout.pipeTo(new WritableStream());
  let log = "";
  for await (const chunk of child.stderr) {
    log += Buffer.from(chunk).toString();
    const port = /forward=bench address=\S+ port=(\d+)/.exec(log)?.[1];
    if (port !== undefined && log.includes("admin=true")) return { child, port: Number(port) };
  }
  throw new Error(log);
}

function requestOf({ path, body, script }: Case, observe: Observed): Buffer {
  const headers = [`x-demo-script: ${script}`, `x-observe: ${observe}`];
  return rawRequest("POST", path, headers, JSON.stringify(body));
}

const directory = mkdtempSync(join(tmpdir(), "llmproxy-bench-"));
const binary = join(directory, "llmproxyd");
await build(binary);
const upstream = Bun.spawn([process.execPath, join(import.meta.dir, "upstream.ts")], {
  stdout: "pipe",
  stderr: "inherit",
});
const upstreamPort = Number(
  new TextDecoder().decode((await upstream.stdout.getReader().read()).value).trim(),
);
const { child, port } = await startProxy(binary, directory, upstreamPort);

for (const test of CASES.filter(({ name }) => ASKED.every((word) => name.includes(word)))) {
  const costs = { off: [] as number[], on: [] as number[] };
  // The two take turns at being first, so that a disturbance hits both alike.
  for (let round = -WARM_ROUNDS; round < ROUNDS; round++) {
    for (const observe of round % 2 === 0 ? (["off", "on"] as const) : (["on", "off"] as const)) {
      const request = requestOf(test, test[observe]);
      const cpuUs = await cpuUsOf(child.pid, () => load(port, test.connections, test.total, () => request));
      if (round >= 0) costs[observe].push(cpuUs / (test.total * test.unitsPerAnswer));
    }
  }
  const [off, on] = [spreadOf(costs.off)!, spreadOf(costs.on)!];
  const ratios = pairwise(costs.on, costs.off, (on, off) => (on / off - 1) * 100) as number[];
  const added = spreadOf(ratios)!;
  const us = ({ median, min, max }: Spread) =>
    `${median.toFixed(1)} us (${min.toFixed(1)} to ${max.toFixed(1)})`;
  console.log(
    `${test.name}, per ${test.unit}: off ${us(off)}, on ${us(on)}: ` +
      `${added.median.toFixed(1)} % (${added.min.toFixed(1)} to ${added.max.toFixed(1)}, ` +
      `error ${errorOf(ratios).toFixed(1)})`,
  );
}
child.kill("SIGTERM");
upstream.kill();
rmSync(directory, { recursive: true, force: true });

/** Standard error of the median of so many values, as if they were distributed normally. */
function errorOf(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return 1.2533 * Math.sqrt(variance / values.length);
}
