import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { scenarioIds } from "../../scripts/bench/arguments.ts";
import { casesOf } from "../../scripts/bench/cases.ts";
import { SCRIPTS } from "../../scripts/bench/micro.ts";
import { filledIn } from "../../scripts/bench/targets/command.ts";
import { haproxy, haproxyConfiguration } from "../../scripts/bench/targets/haproxy.ts";
import { configurationOf } from "../../scripts/bench/targets/llmproxyd.ts";
import { nginx, nginxConfiguration } from "../../scripts/bench/targets/nginx.ts";
import type { Place } from "../../scripts/bench/targets/target.ts";
import { loadConfig } from "../../src/config/load.ts";

const directory = mkdtempSync(join(tmpdir(), "llmproxy-test-"));
afterAll(() => rmSync(directory, { recursive: true }));

const place: Place = {
  port: 15_001,
  upstreamPort: 15_002,
  directory,
  workers: 2,
  connections: 600,
  shape: null,
};

/** The plan of a configuration that was made for the benchmark. */
function planOf(configuration: unknown) {
  const file = join(directory, "config.yaml");
  writeFileSync(file, JSON.stringify(configuration));
  const loaded = loadConfig(file, {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.errors));
  return loaded.plan;
}

describe("the configuration of llmproxyd", () => {
  test("is valid, replaces the credentials and has a breaker", () => {
    const plan = planOf(configurationOf(place, []));
    expect(plan.forwards.map(({ port }) => port)).toEqual([15_001]);
    expect(plan.upstreams[0]).toMatchObject({
      authorization: "Bearer upstream-key",
      origin: "http://127.0.0.1:15002",
    });
    expect(plan.upstreams[0]?.breaker).not.toBeNull();
  });

  test("takes any shape that the growth of cost is measured in", () => {
    const shapes = casesOf(["h"], false).map(({ shape }) => shape!);
    expect(shapes.length).toBeGreaterThan(10);
    for (const shape of shapes) {
      const plan = planOf(configurationOf({ ...place, shape }, []));
      expect(plan.upstreams.length).toBe(shape.upstreams);
      expect(plan.groups[0]?.members.length).toBe(shape.upstreams);
      expect(plan.forwards.length).toBe(shape.forwards);
    }
  });

  test("takes settings by their path, in every item of a list", () => {
    const plan = planOf(
      configurationOf({ ...place, shape: { upstreams: 2, forwards: 1, workers: null } }, [
        { path: "upstream_groups.http_client.timeout.connect", value: 7 },
        { path: "upstreams.breaker.cooldown", value: 9 },
      ]),
    );
    expect(plan.groups[0]?.client.connectTimeoutMs).toBe(7_000);
    expect(plan.upstreams.map(({ breaker }) => breaker?.cooldownMs)).toEqual([9_000, 9_000]);
  });
});

describe("the configurations of other proxies", () => {
  test.each([
    ["nginx", nginxConfiguration(place)],
    ["HAProxy", haproxyConfiguration(place)],
  ])("%s: listens where it should, replaces the credentials, and logs nothing", (_, text) => {
    expect(text).toContain("127.0.0.1:15001");
    expect(text).toContain("127.0.0.1:15002");
    expect(text).toContain('"Bearer upstream-key"');
    expect(text).not.toMatch(/access_log (?!off)|^\s*log /m);
  });

  const server = nginx();
  test.skipIf(server === null)("nginx takes its own", () => {
    mkdirSync(join(directory, "nginx"), { recursive: true });
    const inside = { ...place, directory: join(directory, "nginx") };
    const { argv, files } = server!.launch(inside)!;
    writeFileSync(join(inside.directory, "nginx.conf"), files["nginx.conf"]!);
    const checked = Bun.spawnSync([...argv, "-t"]);
    expect([checked.exitCode, checked.stderr.toString()]).toEqual([0, expect.stringContaining("successful")]);
    expect(checked.stderr.toString()).not.toContain("[warn]");
  });

  const balancer = haproxy();
  test.skipIf(balancer === null)("HAProxy takes its own", () => {
    const { argv, files } = balancer!.launch(place)!;
    writeFileSync(join(directory, "haproxy.cfg"), files["haproxy.cfg"]!);
    const checked = Bun.spawnSync([...argv, "-c"]);
    expect([checked.exitCode, checked.stderr.toString()]).toEqual([0, ""]);
  });
});

test("the command of another server gets ports and workers, and keeps other braces", () => {
  const line = "serve --port {port} --to 127.0.0.1:{upstream_port} -n {workers} '{other}' ${HOME} {port}";
  expect(filledIn(line, place)).toBe("serve --port 15001 --to 127.0.0.1:15002 -n 2 '{other}' ${HOME} 15001");
});

describe("the cases", () => {
  const all = casesOf(scenarioIds, false);

  test("have keys of their own", () => {
    expect(new Set(all.map(({ key }) => key)).size).toBe(all.length);
  });

  test("are there for every scenario but the micro-benchmarks", () => {
    expect(new Set(all.map(({ scenario }) => scenario))).toEqual(
      new Set(scenarioIds.filter((id) => id !== "g")),
    );
  });

  test("of the micro-benchmarks are scripts that are there", () => {
    const folder = join(import.meta.dir, "../../scripts/bench");
    for (const script of SCRIPTS) expect(existsSync(join(folder, script))).toBe(true);
  });

  test("measure streams long enough to see one begin", () => {
    for (const quick of [true, false]) {
      for (const one of casesOf(["c"], quick)) {
        if (one.kind !== "load" || one.answers.kind !== "sse") throw new Error("no stream");
        const streamMs = (one.answers.tokens * one.answers.intervalUs) / 1_000;
        const rampMs = one.load.mode === "streams" ? one.load.rampMs : 0;
        expect(one.measureMs + rampMs).toBeGreaterThanOrEqual(streamMs);
      }
    }
  });
});
