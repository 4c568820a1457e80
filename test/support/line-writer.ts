// Writes numbered lines to standard output through a `LineOutput`, and tells on standard error how it went:
// `bun line-writer.ts LINES FLUSH_MS`.
import { writeSync } from "node:fs";

import { sinkOf } from "../../src/observe/byte-sinks.ts";
import { LineOutput } from "../../src/observe/line-output.ts";

const [lines, flushMs] = process.argv.slice(2).map(Number) as [number, number];
const output = new LineOutput(sinkOf(1));
let dropped = 0;
for (let i = 0; i < lines; i++) {
  output.write(Buffer.from(`line ${i} ${"x".repeat(i % 1500)}\n`), (count) => {
    dropped += count;
  });
  if (i % 100 === 99) await Bun.sleep(1);
}
await output.flush(flushMs);
writeSync(2, JSON.stringify({ dropped }));
process.exit(0);
