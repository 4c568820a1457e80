import { LOG_SLOT_BYTES, type LogSlots } from "../memory/log-slots.ts";
import { LineBytes } from "./line-bytes.ts";
import { linesIn } from "./lines-in.ts";

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

  /** Where to write the next line, with its end. `end` follows; else it is forgotten. */
  begin(): LineBytes {
    this.lines.length = this.whole;
    return this.lines;
  }

  /** The line is written. */
  end(): void {
    const { length } = this.lines;
    if (length - this.whole > LINE_BYTES_MAX) return this.onDropped(1);
    this.whole = length;
    if (this.whole >= PIECE_BYTES) this.store();
    this.timer ??= setTimeout(() => this.flush(), BATCH_MS);
  }

  /** Posts what is there. */
  flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.store();
    this.postSlot();
  }

  /** Moves the whole lines to a slot. */
  private store(): void {
    this.lines.length = this.whole;
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
