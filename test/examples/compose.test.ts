import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { parse } from "yaml";

import { parseCommandLine } from "../../src/cli.ts";
import { complaintsOf, loadExample } from "./load-example.ts";

const directory = join(import.meta.dir, "../../examples/docker");
const compose = parse(readFileSync(join(directory, "docker-compose.yaml"), "utf8"));
const service = compose.services.llmproxyd;
const text = readFileSync(join(directory, "config/config.yaml"), "utf8");

/** `45s` and `1m30s`, as Compose writes them. */
function secondsOf(duration: string): number {
  const [, minutes, seconds] = /^(?:(\d+)m)?(?:(\d+)s)?$/.exec(duration)!;
  return Number(minutes ?? 0) * 60 + Number(seconds ?? 0);
}

test("the configuration is valid, without a warning", () => {
  expect(complaintsOf(loadExample("config.yaml", text))).toEqual([]);
});

test("the service is built from the Dockerfile of this repository", () => {
  expect(existsSync(join(directory, service.build.context, "Dockerfile"))).toBe(true);
});

test("the command line is one that llmproxyd takes, and leaves it time to drain", () => {
  const command = parseCommandLine(service.command);
  if (command.kind !== "run") throw new Error(JSON.stringify(command));
  expect(secondsOf(service.stop_grace_period) * 1000).toBeGreaterThan(command.options.shutdownTimeoutMs);
  const [source, target, mode] = service.volumes[0].split(":");
  expect(existsSync(join(directory, source, "config.yaml"))).toBe(true);
  expect([`${target}/config.yaml`, mode]).toEqual([command.options.configFile, "ro"]);
});

test("the ports of the configuration are offered to this machine only", () => {
  const { loaded } = loadExample("config.yaml", text);
  if (!loaded.ok) throw new Error("not valid");
  const ports = [loaded.plan.forwards[0]!, loaded.plan.admin].map(({ port }) => `127.0.0.1:${port}:${port}`);
  expect(service.ports).toEqual(ports);
  for (const { address } of [loaded.plan.forwards[0]!, loaded.plan.admin]) expect(address).toBe("0.0.0.0");
});

test("every secret of the configuration is one that Compose mounts", () => {
  const { files } = loadExample("config.yaml", text);
  expect(files).toEqual(service.secrets.map((name: string) => `/run/secrets/${name}`));
  expect(Object.keys(compose.secrets)).toEqual(service.secrets);
  // They must not get into the repository.
  expect(readFileSync(join(directory, ".gitignore"), "utf8")).toContain("secrets/");
  expect(compose.secrets.openai_key.file).toStartWith("./secrets/");
});

test("the container may do nothing but what a proxy needs", () => {
  expect(service).toMatchObject({
    user: "65532:65532",
    read_only: true,
    cap_drop: ["ALL"],
    security_opt: ["no-new-privileges:true"],
  });
  expect(service.privileged).toBeUndefined();
  expect(service.ulimits.core).toBe(0);
});
