import { describe, expect, test } from "bun:test";

import type { ByteSink } from "../../src/observe/byte-sinks.ts";
import { LineOutput } from "../../src/observe/line-output.ts";
import { linesIn } from "../../src/observe/lines-in.ts";
import { Random } from "../support/random.ts";

/** A sink that takes what a test lets it take. */
class SlowSink implements ByteSink {
  text = "";
  /** Bytes that still fit. */
  room = Infinity;
  private resume: (() => void) | null = null;
  private readonly held: boolean;

  constructor(held = false) {
    this.held = held;
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (this.held) await new Promise<void>((resolve) => (this.resume = resolve));
    const taken = Math.min(bytes.length, this.room);
    this.room -= taken;
    this.text += Buffer.from(bytes.subarray(0, taken)).toString("utf8");
    return taken;
  }

  /** Lets one write happen. */
  async go(): Promise<void> {
    while (this.resume === null) await Bun.sleep(1);
    this.resume();
    this.resume = null;
  }
}

function counting() {
  const count = { dropped: 0, drop: (lines: number) => void (count.dropped += lines) };
  return count;
}

describe("an output", () => {
  test("writes everything in the order in which it came", async () => {
    const sink = new SlowSink();
    const output = new LineOutput(sink);
    const { dropped, drop } = counting();
    for (let i = 0; i < 1000; i++) output.write(Buffer.from(`line ${i}\n`), drop);
    await output.flush(10_000);
    expect(sink.text).toBe(Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join(""));
    expect(dropped).toBe(0);
  });

  test("never waits for a sink that takes nothing, and drops and counts what is too much", async () => {
    const sink = new SlowSink(true);
    const output = new LineOutput(sink);
    const count = counting();
    const line = `${"x".repeat(999)}\n`;
    for (let i = 0; i < 10_000; i++) output.write(Buffer.from(line), count.drop);
    const accepted = 10_000 - count.dropped;
    expect(accepted).toBeGreaterThan(4000);
    expect(accepted).toBeLessThan(4500);
    // What was accepted is written once the sink takes it.
    const flushed = output.flush(10_000);
    let done = false;
    void flushed.then(() => (done = true));
    while (!done) await Promise.race([sink.go(), flushed]);
    expect(sink.text.length).toBe(accepted * 1000);
  });

  test("says once of all that it took that it needs it no longer", async () => {
    const sink = new SlowSink(true);
    const output = new LineOutput(sink);
    const done: string[] = [];
    for (const name of ["a", "b", "c"]) {
      const lines = Buffer.from(`${name}\n`);
      output.write(lines, (dropped) => {
        done.push(`${name} ${dropped}`);
        // Whoever gave them may write something else there.
        lines.fill("!");
      });
    }
    expect(done).toEqual([]);
    const flushed = output.flush(10_000);
    await sink.go();
    await sink.go();
    await flushed;
    expect(done).toEqual(["a 0", "b 0", "c 0"]);
    expect(sink.text).toBe("a\nb\nc\n");
    output.write(Buffer.alloc(5_000_000, "\n"), (dropped) => done.push(`too much ${dropped}`));
    expect(done.at(-1)).toBe("too much 5000000");
  });

  test("gives up waiting at the end after the limit", async () => {
    const output = new LineOutput(new SlowSink(true));
    output.write(Buffer.from("x\n"), () => {});
    await output.flush(5);
  });

  test("counts the lines that a full disk did not take, and goes on with a new line when there is room again", async () => {
    const sink = new SlowSink();
    const output = new LineOutput(sink);
    const count = counting();
    sink.room = 13;
    output.write(Buffer.from("aaaaa\n"), count.drop);
    output.write(Buffer.from("bbbbb\nccccc\n"), count.drop);
    output.write(Buffer.from("ddddd\n"), count.drop);
    await output.flush(10_000);
    expect(sink.text).toBe("aaaaa\nbbbbb\nc");
    expect(count.dropped).toBe(2);
    sink.room = Infinity;
    output.write(Buffer.from("eeeee\n"), count.drop);
    await output.flush(10_000);
    expect(sink.text).toBe("aaaaa\nbbbbb\nc\neeeee\n");
    expect(count.dropped).toBe(2);
  });

  test("loses no line uncounted and mixes none, however the sink behaves", async () => {
    const random = new Random();
    await random.run(async () => {
      const sink = new SlowSink();
      const output = new LineOutput(sink);
      const count = counting();
      let sent = 0;
      for (let round = 0; round < 300; round++) {
        sink.room = random.below(4) === 0 ? random.below(200) : Infinity;
        for (let i = random.below(6); i > 0; i--) {
          const lines = 1 + random.below(3);
          let text = "";
          for (let j = 0; j < lines; j++) text += `<${sent++} ${"é".repeat(random.below(10))}>\n`;
          output.write(Buffer.from(text), count.drop);
        }
        await output.flush(10_000);
      }
      sink.room = Infinity;
      output.write(Buffer.from("<end>\n"), count.drop);
      await output.flush(10_000);
      const whole = sink.text.split("\n").filter((line) => /^<(\d+ é*|end)>$/.test(line));
      expect(whole.length + count.dropped).toBe(sent + 1);
      const numbers = whole.slice(0, -1).map((line) => Number(line.slice(1).split(" ")[0]));
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      // What is not a whole line is the beginning of one that was counted as dropped.
      for (const line of sink.text.split("\n")) expect(line).toMatch(/^(<(\d*( é*\ufffd?)?|\d+ é*>|end>))?$/);
    });
  });
});

test("lines are counted by their ends", () => {
  const counts = ["", "a", "a\n", "\n\nb\n"].map((text) => linesIn(Buffer.from(text)));
  expect(counts).toEqual([0, 0, 1, 3]);
  expect(linesIn(Buffer.from("a\nb\nc\n"), 2)).toBe(2);
});
