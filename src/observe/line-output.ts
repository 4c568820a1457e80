import type { ByteSink } from "./byte-sinks.ts";
import { linesIn } from "./lines-in.ts";

/** Lines waiting to be written are at most this many bytes, all together. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** At most about so many are handed to the sink at once. */
const BATCH_BYTES = 256 * 1024;
const NEWLINE = 10;
const LINE_END = Uint8Array.of(NEWLINE);

interface Waiting {
  readonly lines: Uint8Array;
  readonly onDone: (droppedLines: number) => void;
}

/**
 * Writes lines in the order in which they came, whole and never mixed, and never makes anybody wait. What cannot be
 * written, because too much is waiting already or since the sink is full or gone, is dropped and told.
 */
export class LineOutput {
  private readonly sink: ByteSink;
  private readonly queue: Waiting[] = [];
  private waitingBytes = 0;
  private writing = false;
  /** The last line that was written is not whole. */
  private torn = false;
  private emptied: (() => void)[] = [];

  constructor(sink: ByteSink) {
    this.sink = sink;
  }

  /**
   * Takes one or several whole lines, each with its line end. They must stay as they are until `onDone`, which is told
   * once how many of them could not be written.
   */
  write(lines: Uint8Array, onDone: (droppedLines: number) => void): void {
    if (this.waitingBytes + lines.length > WAITING_BYTES_MAX) {
      onDone(linesIn(lines));
      return;
    }
    this.waitingBytes += lines.length;
    this.queue.push({ lines, onDone });
    if (!this.writing) void this.run();
  }

  /** Settles when nothing waits any longer, or after `limitMs`. */
  flush(limitMs: number): Promise<void> {
    if (!this.writing) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.emptied.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private async run(): Promise<void> {
    this.writing = true;
    while (this.queue.length > 0) await this.writeBatch();
    this.writing = false;
    for (const resolve of this.emptied.splice(0)) resolve();
  }

  private async writeBatch(): Promise<void> {
    let count = 0;
    let length = 0;
    while (count < this.queue.length && length < BATCH_BYTES) length += this.queue[count++]!.lines.length;
    const batch = this.queue.splice(0, count);
    const parts = batch.map(({ lines }) => lines);
    // A line that was cut off by a full disk must not run into the next one.
    if (this.torn) parts.unshift(LINE_END);
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    const before = this.torn ? 1 : 0;
    const written = await this.sink.write(bytes);
    if (written > 0) this.torn = bytes[written - 1] !== NEWLINE;
    this.waitingBytes -= length;
    // A line of which only the end is missing gets that when writing goes on.
    const lostFrom = this.torn && bytes[written] === NEWLINE ? written + 1 : written;
    let end = before;
    for (const { lines, onDone } of batch) {
      end += lines.length;
      onDone(end <= lostFrom ? 0 : linesIn(lines, Math.max(0, lines.length - (end - lostFrom))));
    }
  }
}
