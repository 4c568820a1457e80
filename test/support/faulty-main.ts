// The product as it runs from source, with workers that fail on demand, and a main thread that does at SIGWINCH.
// As the `wrapper` of a test it is given the binary's path first.
import { parseCommandLine } from "../../src/cli.ts";
import { main } from "../../src/supervisor/run.ts";
import { WorkerSource } from "../../src/supervisor/worker-source.ts";

process.on("SIGWINCH", () => new Headers([[`${process.env["CANARY_TOKEN"]} is no name`, ""]]));
const workers = new WorkerSource(new URL("./faulty-worker.ts", import.meta.url));
process.exit(await main(parseCommandLine(process.argv.slice(3)), workers));
