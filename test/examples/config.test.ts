import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { Glob } from "bun";

import { complaintsOf, fakeSecret, loadExample } from "./load-example.ts";

const directory = join(import.meta.dir, "../../examples/config");
const names = [...new Glob("*").scanSync(directory)].sort();

/** Where a path of a client leads, upstream by upstream, and what is sent along. */
function planOf(name: string) {
  const { loaded } = loadExample(name, readFileSync(join(directory, name), "utf8"));
  if (!loaded.ok) throw new Error(`${name} is not valid`);
  return loaded.plan;
}

test("the examples are there", () => {
  expect(names).toEqual([
    "azure.yaml",
    "mixed-failover.yaml",
    "ollama.yaml",
    "openai-anthropic.yaml",
    "vllm-fleet.yaml",
  ]);
});

describe.each(names)("%s", (name) => {
  const text = readFileSync(join(directory, name), "utf8");

  test("is valid, without a warning", () => {
    expect(complaintsOf(loadExample(name, text))).toEqual([]);
  });

  test("keeps the admin listener to this machine", () => {
    expect(planOf(name).admin.address).toBe("127.0.0.1");
  });

  test("names in its head every variable that it needs", () => {
    const head = text.slice(0, text.indexOf("http_server:"));
    const { variables } = loadExample(name, text);
    expect([...new Set(variables)].filter((variable) => !head.includes(`${variable}=`))).toEqual([]);
  });

  test("holds no secret itself", () => {
    expect(text).not.toMatch(/sk-[A-Za-z0-9]|(token|password|key): *["']?[A-Za-z0-9]{20}/i);
  });

  test("gives each cloud its key", () => {
    for (const upstream of planOf(name).upstreams) {
      const sent = JSON.stringify(upstream);
      const isCloud = /openai\.com|anthropic\.com|azure\.com/.test(sent);
      if (isCloud) expect(sent).toContain(fakeSecret);
    }
  });
});
