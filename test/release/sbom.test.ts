import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { type LockFile, runtimePackages } from "../../scripts/release/lock-file.ts";
import { makeNotices } from "../../scripts/release/notices.ts";
import { makeSbom } from "../../scripts/release/sbom.ts";
import { targets } from "../../scripts/release/targets.ts";

const root = join(import.meta.dir, "../..");
const read = (file: string) => JSON.parse(readFileSync(join(root, file), "utf8"));
const lock = read("package-lock.json") as LockFile;
const packageJson = read("package.json");
const time = new Date("2026-03-04T05:06:08Z");

const sbom = makeSbom(lock, "0123456789ab", time) as any;

const integrity = `sha512-${Buffer.alloc(64, 7).toString("base64")}`;
const entry = (dependencies: Record<string, string> = {}) => ({
  version: "1.2.3",
  license: "(MIT OR Apache-2.0)",
  integrity,
  dependencies,
});

describe("the packages that are needed at run time", () => {
  test("are those of package.json, without those for building and testing", () => {
    const names = runtimePackages(lock).map(({ name }) => name);
    expect(names).toEqual(Object.keys(packageJson.dependencies).sort());
  });

  test("include what they depend on in turn, each once", () => {
    const packages = {
      "": { name: "x", version: "1.0.0", dependencies: { a: "^1", b: "^1" } },
      "node_modules/a": entry({ c: "^1" }),
      "node_modules/b": entry({ c: "^1", a: "^1" }),
      "node_modules/c": entry({ a: "^1" }),
      "node_modules/d": entry(),
    };
    expect(runtimePackages({ packages }).map(({ name }) => name)).toEqual(["a", "b", "c"]);
    const nested = { ...packages, "node_modules/b/node_modules/c": entry() };
    expect(() => runtimePackages({ packages: nested })).toThrow("b brings packages of its own");
    expect(() => runtimePackages({ packages: { "": packages[""] } })).toThrow("does not name");
  });
});

describe("the bill of materials", () => {
  test("says what it is about", () => {
    expect(sbom).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.6", version: 1 });
    expect(sbom.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(sbom.metadata.timestamp).toBe("2026-03-04T05:06:08.000Z");
    expect(sbom.metadata.component).toMatchObject({
      name: packageJson.name,
      version: packageJson.version,
      licenses: [{ license: { id: "MIT" } }],
      properties: [{ name: "commit", value: "0123456789ab" }],
    });
  });

  test("lists the packages and the Bun of every target, with version, hash and licence", () => {
    const purls = sbom.components.map(({ purl }: { purl: string }) => purl);
    const bun = packageJson.devDependencies.bun;
    expect(purls).toEqual([
      ...Object.entries(packageJson.dependencies).map(([name, version]) => `pkg:npm/${name}@${version}`),
      ...targets.map(({ runtime }) => `pkg:npm/${runtime.replace("@", "%40")}@${bun}`),
    ]);
    for (const component of sbom.components) {
      expect(component.hashes[0].content).toMatch(/^[0-9a-f]{128}$/);
      expect(component.licenses).toHaveLength(1);
    }
  });

  test("tells who depends on whom, and only of what it lists", () => {
    const known = [sbom.metadata.component, ...sbom.components].map((component) => component["bom-ref"]);
    expect(sbom.dependencies.map(({ ref }: { ref: string }) => ref).sort()).toEqual(known.sort());
    for (const { dependsOn } of sbom.dependencies) for (const ref of dependsOn) expect(known).toContain(ref);
  });

  test("is the same for the same commit, and another one for another", () => {
    expect(makeSbom(lock, "0123456789ab", time)).toEqual(sbom);
    const other = makeSbom(lock, "ba9876543210", time) as { serialNumber: string };
    expect(other.serialNumber).not.toBe(sbom.serialNumber);
  });
});

test("the notices hold the licence of every package, and Bun's", async () => {
  const notices = await makeNotices(lock, root);
  for (const { name, version } of runtimePackages(lock))
    expect(notices).toContain(`\n## ${name} ${version} (`);
  expect(notices).toContain("Permission is hereby granted");
  expect(notices).toContain("JavaScriptCore");
});
