import { LineBytes } from "./line-bytes.ts";

/** A batch is posted when it is this long, or this old. */
const BATCH_BYTES = 256 * 1024;
const BATCH_MS = 100;
/** What was posted and not yet taken, and what waits to be posted, are at most this much. */
const OUTSTANDING_BYTES_MAX = 1024 * 1024;

/**
 * Gathers the lines of one worker and posts them in batches, off the way of the requests. When whoever takes them
 * is too slow they are dropped and counted: the queue between threads knows no bound of its own.
 */
export class LineBatcher {
  private readonly post: (lines: Uint8Array<ArrayBuffer>) => void;
  private readonly taken: () => number;
  private readonly onDropped: (lines: number) => void;
  private readonly lines = new LineBytes();
  /** Bytes of whole lines. */
  private whole = 0;
  private posted = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;

  /** `taken`: how many bytes of what was posted have been taken so far. */
  constructor(
    post: (lines: Uint8Array<ArrayBuffer>) => void,
    taken: () => number,
    onDropped: (lines: number) => void,
  ) {
    this.post = post;
    this.taken = taken;
    this.onDropped = onDropped;
  }

  /** Where to write the next line, with its end. `end` follows; else it is forgotten. */
  begin(): LineBytes {
    this.lines.length = this.whole;
    return this.lines;
  }

  /** The line is written. */
  end(): void {
    const { length } = this.lines;
    if (this.posted - this.taken() + length > OUTSTANDING_BYTES_MAX) {
      this.onDropped(1);
      return;
    }
    this.whole = length;
    if (length >= BATCH_BYTES) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), BATCH_MS);
  }

  /** Posts what is there. */
  flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.whole === 0) return;
    this.lines.length = this.whole;
    this.whole = 0;
    const lines = this.lines.take();
    this.posted += lines.length;
    this.post(lines);
  }
}
