import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { configBytesMax, loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { sampleYaml } from "./sample.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "llmproxyd-load-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Writes a file and gives its path. */
function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

function printed(path: string): string[] {
  const result = loadConfig(path, {});
  return result.ok ? ["valid"] : result.errors.map(formatProblem);
}

describe("a file that cannot be a configuration gives one clear error", () => {
  test("a missing file", () => {
    const path = join(directory, "missing.yaml");
    expect(printed(path)).toEqual([`${path}: no such file`]);
  });

  test("a path through something that is no directory", () => {
    const path = join(file("plain", ""), "config.yaml");
    expect(printed(path)).toEqual([`${path}: no such file (a part of the path is not a directory)`]);
  });

  test("a directory", () => {
    const path = join(directory, "folder");
    mkdirSync(path);
    expect(printed(path)).toEqual([`${path}: it is a directory`]);
  });

  test("a loop of symbolic links", () => {
    const path = join(directory, "loop.yaml");
    symlinkSync(path, path);
    expect(printed(path)).toEqual([`${path}: too many symbolic links`]);
  });

  test.skipIf(process.getuid?.() === 0)("a file without permission to read it", () => {
    const path = file("secret.yaml", sampleYaml);
    chmodSync(path, 0o000);
    expect(printed(path)).toEqual([`${path}: permission denied`]);
  });

  test("a pipe that nobody writes to does not hold it up", () => {
    const path = join(directory, "pipe.yaml");
    expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
    expect(printed(path)).toEqual([`${path}: it is not a regular file`]);
  });

  test("a device", () => {
    expect(printed("/dev/zero")).toEqual(["/dev/zero: it is not a regular file"]);
  });

  test("names that no file can have", () => {
    expect(printed("")).toEqual([": no such file"]);
    expect(printed("a\u0000b")).toEqual(["a\u0000b: not a valid file name"]);
    const long = join(directory, "x".repeat(300));
    expect(printed(long)).toEqual([`${long}: the name is too long`]);
  });

  const empty = {
    nothing: "",
    "a comment only": "# nothing here\n",
    "a null": "---\n~\n",
    "an empty document": "---\n",
  };
  test.each(Object.entries(empty))("%s is empty", (name, content) => {
    const path = file(`${name}.yaml`, content);
    expect(printed(path)).toEqual([`${path}: the file is empty`]);
  });

  test("a file with a NUL byte", () => {
    const path = file("nul.yaml", `${sampleYaml}\u0000`);
    expect(printed(path)).toEqual([`${path}: it is a binary file (it holds a NUL byte)`]);
  });

  test("bytes that are not UTF-8", () => {
    const path = file("latin1.yaml", Buffer.from(`${sampleYaml}# caf\u00e9\n`, "latin1"));
    expect(printed(path)).toEqual([`${path}: it is a binary file (it is not valid UTF-8)`]);
  });

  test("a file over 1 MB is refused, and one of exactly 1 MB is read", () => {
    const padding = (bytes: number) => `${sampleYaml}#${"x".repeat(bytes - sampleYaml.length - 1)}`;
    const over = file("over.yaml", padding(configBytesMax + 1));
    expect(printed(over)).toEqual([`${over}: it is larger than the limit of 1 MB`]);
    expect(printed(file("exact.yaml", padding(configBytesMax)))).toEqual(["valid"]);
  });

  test("a file of 10 MB is refused unread: it is not even looked at for NUL bytes", () => {
    const path = file("huge.yaml", new Uint8Array(10 * 1024 * 1024));
    expect(printed(path)).toEqual([`${path}: it is larger than the limit of 1 MB`]);
  });
});

describe("a good file", () => {
  test("is loaded with its configuration, plan and warnings", () => {
    const result = loadConfig(file("good.yaml", sampleYaml), {});
    expect(result).toMatchObject({
      ok: true,
      config: { http_server: { admin: { port: 9000 } } },
      plan: { admin: { port: 9000 } },
      warnings: [],
    });
  });

  test("may begin with a byte order mark and have CRLF line ends", () => {
    expect(printed(file("windows.yaml", `\ufeff${sampleYaml.replaceAll("\n", "\r\n")}`))).toEqual(["valid"]);
  });

  test("may be a symbolic link", () => {
    const path = join(directory, "link.yaml");
    symlinkSync(file("target.yaml", sampleYaml), path);
    expect(printed(path)).toEqual(["valid"]);
  });

  test("refers to secret files relative to its own directory", () => {
    file("token", "sk-from-file\n");
    const path = file("relative.yaml", sampleYaml.replace("sk-literal", "${file:token}"));
    const result = loadConfig(path, {});
    expect(result.ok && result.plan.upstreams[0]?.authorization).toBe("Bearer sk-from-file");
  });
});

test("a file with many mistakes is reported as a whole, line by line", () => {
  const folder = join(import.meta.dir, "../fixtures/config");
  const result = loadConfig(join(folder, "broken.yaml"), {});
  const lines = result.ok
    ? []
    : result.errors.map((error) => formatProblem({ ...error, file: "broken.yaml" }));
  expect(`${lines.join("\n")}\n`).toBe(readFileSync(join(folder, "broken.txt"), "utf8"));
});
