// The product as it runs from source, with workers that fail on demand, and a main thread that does at SIGWINCH.
// As the `wrapper` of a test it is given the binary's path first.
import { main } from "../../src/supervisor/run.ts";

process.on("SIGWINCH", () => new Headers([[`${process.env["CANARY_TOKEN"]} is no name`, ""]]));
process.exit(await main(process.argv.slice(3), new URL("./faulty-worker.ts", import.meta.url)));
