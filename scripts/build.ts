// Makes dist/llmproxyd, a self-contained executable for this machine.
import { rmSync } from "node:fs";
import { join } from "node:path";

import { Glob } from "bun";

import { currentCommit } from "./release/commit.ts";
import { compile } from "./release/compile.ts";

const root = join(import.meta.dir, "..");
process.chdir(root);
// Source maps are named by their contents: those of earlier builds would stay for ever.
for (const map of new Glob("dist/*.map").scanSync()) rmSync(map);
const { name } = await currentCommit();
try {
  await compile({ root, outfile: join(root, "dist/llmproxyd"), commit: name });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
console.log("dist/llmproxyd");
