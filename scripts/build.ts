// Makes dist/llmproxyd, a self-contained executable for this machine.
import { join } from "node:path";

import { currentCommit } from "./release/commit.ts";
import { compile } from "./release/compile.ts";

const root = join(import.meta.dir, "..");
process.chdir(root);
const { name } = await currentCommit();
try {
  await compile({ root, outfile: join(root, "dist/llmproxyd"), commit: name });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
console.log("dist/llmproxyd");
