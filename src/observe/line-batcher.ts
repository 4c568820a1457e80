import { LineBytes } from "./line-bytes.ts";
import { logError } from "./log.ts";

/** Something that becomes a line. */
export interface LineSource {
  /** Bytes that it keeps in memory until then. */
  readonly heldBytes: number;
  /** Writes the line, with its end. */
  writeLine(to: LineBytes): void;
}

/** A batch is posted when it is this long, or this old. */
const BATCH_BYTES = 256 * 1024;
const BATCH_MS = 100;
/** What was posted and not yet taken, and what waits to be posted, are at most this much. */
const OUTSTANDING_BYTES_MAX = 1024 * 1024;
/** So many sources wait to be written at most, and so many bytes are held by them. */
const SOURCES_MAX = 64;
const HELD_BYTES_MAX = 256 * 1024;

/**
 * Gathers the lines of one worker and posts them in batches, off the way of the requests. They are also written together:
 * a line on its own costs three times as much, as the code for it has left the processor's caches by then. When
 * whoever takes them is too slow they are dropped and counted: the queue between threads knows no bound of its own.
 */
export class LineBatcher {
  private readonly post: (lines: Uint8Array<ArrayBuffer>) => void;
  private readonly taken: () => number;
  private readonly onDropped: (lines: number) => void;
  private readonly sources: LineSource[] = [];
  private heldBytes = 0;
  private readonly lines = new LineBytes();
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

  /** Takes what becomes the next line. It must stay as it is until it has written that. */
  add(source: LineSource): void {
    this.sources.push(source);
    this.heldBytes += source.heldBytes;
    this.timer ??= setTimeout(() => this.flush(), BATCH_MS);
    if (this.sources.length < SOURCES_MAX && this.heldBytes < HELD_BYTES_MAX) return;
    this.write();
    if (this.lines.length >= BATCH_BYTES) this.flush();
  }

  /** Posts what is there. */
  flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.write();
    if (this.lines.length === 0) return;
    const lines = this.lines.take();
    this.posted += lines.length;
    this.post(lines);
  }

  private write(): void {
    for (const source of this.sources) this.writeLine(source);
    this.sources.length = 0;
    this.heldBytes = 0;
  }

  private writeLine(source: LineSource): void {
    const { lines } = this;
    const before = lines.length;
    try {
      source.writeLine(lines);
      if (this.posted - this.taken() + lines.length <= OUTSTANDING_BYTES_MAX) return;
    } catch (error) {
      logError("a line of the access log cannot be written", {}, error);
    }
    lines.length = before;
    this.onDropped(1);
  }
}
