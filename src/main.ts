// Entry of the process. Everything but the environment check is loaded after the process has been replaced
// once, so that what is loaded is loaded once.
import { restartCleanly } from "./supervisor/environment.ts";

restartCleanly();
const { parseCommandLine } = await import("./cli.ts");
const { WorkerSource } = await import("./supervisor/worker-source.ts");
const command = parseCommandLine(process.argv.slice(2));
// Named here, as the compiled binary knows its entries beside this one.
const workers = new WorkerSource(new URL("./worker.ts", import.meta.url));
// It comes up while the rest of this is loaded and the configuration is read.
if (command.kind === "run" && !command.options.test) workers.begin();
const { main } = await import("./supervisor/run.ts");
process.exit(await main(command, workers));
