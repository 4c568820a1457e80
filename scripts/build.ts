// Makes dist/llmproxyd, a self-contained executable for this machine.
import { $ } from "bun";

const root = new URL("..", import.meta.url).pathname;
// A tree without git (an unpacked archive) builds too.
const commit =
  (await $`git -C ${root} rev-parse --short=12 HEAD`.quiet().nothrow().text()).trim() || "unknown";

const result = await Bun.build({
  entrypoints: [`${root}src/main.ts`, `${root}src/worker.ts`],
  minify: true,
  sourcemap: "linked",
  bytecode: true,
  format: "esm",
  define: { BUILD_COMMIT: JSON.stringify(commit) },
  compile: {
    outfile: `${root}dist/llmproxyd`,
    // What lies in the current directory is none of the binary's business.
    autoloadDotenv: false,
    autoloadBunfig: false,
  },
});
if (!result.success) {
  for (const message of result.logs) console.error(message);
  process.exit(1);
}
console.log("dist/llmproxyd");
