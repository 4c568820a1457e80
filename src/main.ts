// Entry of the process. Everything but the environment check is loaded after the process has been replaced
// once, so that what is loaded is loaded once.
import { restartCleanly } from "./supervisor/environment.ts";

restartCleanly();
const { main } = await import("./supervisor/run.ts");
// Named here, as the compiled binary knows its entries beside this one.
const workerUrl = new URL("./worker.ts", import.meta.url);
process.exit(await main(process.argv.slice(2), workerUrl));
