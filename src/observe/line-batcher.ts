import { LOG_SLOT_BYTES, type LogSlots } from "../memory/log-slots.ts";
import { LineBytes } from "./line-bytes.ts";
import { linesIn } from "./lines-in.ts";
import { logError } from "./log.ts";

/** What is to be told in one line. */
export interface LogEntry {
  /** Writes the line, with its end. What it tells must not change until then. */
  writeTo(lines: LineBytes): void;
}

/**
 * Lines are written when there are so many of them. One by one each would have to fetch the code that writes it into the
 * processor's caches again, which takes several times as long as to run it.
 */
const HANDFUL = 8;
/** Lines are moved to a slot when there is so much of them: near enough to be in the processor's first cache. */
const PIECE_BYTES = 16 * 1024;
/** A batch is posted when its slot is full, or when it is this old. */
const BATCH_MS = 100;
/** A longer line is dropped, so that a piece always fits a slot: most lines have a thousandth of this. */
const LINE_BYTES_MAX = LOG_SLOT_BYTES - PIECE_BYTES;

/**
 * Gathers the lines of one worker and posts them in batches, off the way of the requests. When whoever takes them is too
 * slow there is no slot left, and lines are dropped and counted.
 */
export class LineBatcher {
  private readonly slots: LogSlots;
  private readonly post: (slot: number, length: number) => void;
  private readonly onDropped: (lines: number) => void;
  /** Not yet written. */
  private readonly entries: LogEntry[] = [];
  /** Lines not yet in a slot. */
  private readonly lines = new LineBytes();
  /** Bytes of whole ones among them. */
  private whole = 0;
  private slot: number | null = null;
  /** Bytes in the slot. */
  private used = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;

  /** `post`: passes on so many bytes of a slot. */
  constructor(
    slots: LogSlots,
    post: (slot: number, length: number) => void,
    onDropped: (lines: number) => void,
  ) {
    this.slots = slots;
    this.post = post;
    this.onDropped = onDropped;
  }

  /** Takes what is to be told next. */
  add(entry: LogEntry): void {
    this.entries.push(entry);
    if (this.entries.length === HANDFUL) this.writeEntries();
    this.timer ??= setTimeout(() => this.flush(), BATCH_MS);
  }

  /** Posts what is there. */
  flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.writeEntries();
    this.store();
    this.postSlot();
  }

  private writeEntries(): void {
    for (const entry of this.entries) this.write(entry);
    this.entries.length = 0;
  }

  private write(entry: LogEntry): void {
    const { lines } = this;
    if (!this.tryWrite(entry) || lines.length - this.whole > LINE_BYTES_MAX) {
      lines.length = this.whole;
      return this.onDropped(1);
    }
    this.whole = lines.length;
    if (this.whole >= PIECE_BYTES) this.store();
  }

  /** Gives false when it failed: a bug in one must not take the others with it. */
  private tryWrite(entry: LogEntry): boolean {
    try {
      entry.writeTo(this.lines);
      return true;
    } catch (error) {
      logError("log line failed", {}, error);
      return false;
    }
  }

  /** Moves the whole lines to a slot. */
  private store(): void {
    if (this.whole === 0) return;
    const lines = this.lines.written();
    this.lines.length = 0;
    this.whole = 0;
    if (this.used + lines.length > LOG_SLOT_BYTES) this.postSlot();
    this.slot ??= this.slots.claim();
    if (this.slot === null) return this.onDropped(linesIn(lines));
    this.slots.bytes(this.slot).set(lines, this.used);
    this.used += lines.length;
  }

  private postSlot(): void {
    if (this.slot === null || this.used === 0) return;
    this.post(this.slot, this.used);
    this.slot = null;
    this.used = 0;
  }
}
