import { linesIn } from "./line-output.ts";

/** A batch is posted when it is this long, or this old. */
const BATCH_CHARS = 64 * 1024;
const BATCH_MS = 100;
/** What was posted and not yet taken, and what waits to be posted, are at most this much. */
const OUTSTANDING_CHARS_MAX = 1024 * 1024;

/**
 * Gathers the lines of one worker and posts them in batches, off the way of the requests. When whoever takes them
 * is too slow they are dropped and counted: the queue between threads knows no bound of its own.
 */
export class LineBatcher {
  private readonly post: (lines: string) => void;
  private readonly taken: () => number;
  private readonly onDropped: (lines: number) => void;
  private lines = "";
  private posted = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;

  /** `taken`: how many characters of what was posted have been taken so far. */
  constructor(post: (lines: string) => void, taken: () => number, onDropped: (lines: number) => void) {
    this.post = post;
    this.taken = taken;
    this.onDropped = onDropped;
  }

  /** Takes one line or several, each with its end. */
  add(lines: string): void {
    const outstanding = this.posted - this.taken() + this.lines.length;
    if (outstanding + lines.length > OUTSTANDING_CHARS_MAX) {
      this.onDropped(linesIn(lines));
      return;
    }
    this.lines += lines;
    if (this.lines.length >= BATCH_CHARS) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), BATCH_MS);
  }

  /** Posts what is there. */
  flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.lines === "") return;
    this.posted += this.lines.length;
    this.post(this.lines);
    this.lines = "";
  }
}
