import type { ByteSink } from "./byte-sinks.ts";

/** Lines waiting to be written are at most this many characters, all together. */
const WAITING_CHARS_MAX = 4 * 1024 * 1024;
/** At most about so many are handed to the sink at once. */
const BATCH_CHARS = 256 * 1024;
const NEWLINE = 10;

interface Waiting {
  readonly text: string;
  readonly onDropped: (lines: number) => void;
}

/**
 * Writes lines in the order in which they came, whole and never mixed, and never makes anybody wait. What cannot be
 * written, because too much is waiting already or since the sink is full or gone, is dropped and told.
 */
export class LineOutput {
  private readonly sink: ByteSink;
  private readonly queue: Waiting[] = [];
  private waitingChars = 0;
  private writing = false;
  /** The last line that was written is not whole. */
  private torn = false;
  private emptied: (() => void)[] = [];

  constructor(sink: ByteSink) {
    this.sink = sink;
  }

  /** Takes one or several whole lines, each with its line end. `onDropped` is told how many of them could not be written. */
  write(text: string, onDropped: (lines: number) => void): void {
    if (this.waitingChars + text.length > WAITING_CHARS_MAX) {
      onDropped(linesIn(text));
      return;
    }
    this.waitingChars += text.length;
    this.queue.push({ text, onDropped });
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
    let chars = 0;
    while (count < this.queue.length && chars < BATCH_CHARS) chars += this.queue[count++]!.text.length;
    const batch = this.queue.splice(0, count);
    const parts = batch.map(({ text }) => Buffer.from(text, "utf8"));
    // A line that was cut off by a full disk must not run into the next one.
    const bytes = Buffer.concat(this.torn ? [Buffer.of(NEWLINE), ...parts] : parts);
    const before = this.torn ? 1 : 0;
    const written = await this.sink.write(bytes);
    if (written > 0) this.torn = bytes[written - 1] !== NEWLINE;
    this.waitingChars -= chars;
    if (written === bytes.length) return;
    // A line of which only the end is missing gets that when writing goes on.
    const lostFrom = this.torn && bytes[written] === NEWLINE ? written + 1 : written;
    let end = before;
    for (let i = 0; i < batch.length; i++) {
      const part = parts[i]!;
      end += part.length;
      if (end > lostFrom) batch[i]!.onDropped(newlinesIn(part, Math.max(0, part.length - (end - lostFrom))));
    }
  }
}

/** Lines of a text, each with its end. */
export function linesIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

function newlinesIn(bytes: Uint8Array, from: number): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE, from); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
