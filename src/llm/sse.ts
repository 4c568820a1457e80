import { Carry } from "./carry.ts";
import type { EventSink } from "./event-sink.ts";
import { NameCache } from "./name-cache.ts";

const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;
/** Stands for "no such byte in this piece"; beyond any length. */
const NONE = 2 ** 31 - 1;

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf] as const;
/** While an event is incomplete its bytes are copied in slices of this size, so a large chunk is not copied whole. */
const SLICE_BYTES = 4096;
/** Of an oversized event this many last bytes are kept. */
export const OVERSIZED_TAIL_BYTES = 16 * 1024;
const DATA = [100, 97, 116, 97] as const;
const EVENT = [101, 118, 101, 110, 116] as const;
const ERROR = [101, 114, 114, 111, 114] as const;

/**
 * Reads server-sent events from bytes as they arrive, cut anywhere: inside a character, between CR and LF.
 * Works on bytes (RFC 3629: no byte of a multi-byte character looks like a line end) and decodes nothing
 * but names; an event that lies within one chunk is shown there, without a copy.
 *
 * Follows https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream except that
 * an event without its blank line is given when the stream ends, and that an `error:` field, which old
 * llama.cpp servers send, reads as `event: error` with data.
 */
export class SseReader {
  private readonly sink: EventSink;
  private readonly eventBytesMax: number;
  /** The incomplete event, when a chunk ended inside it. CR and LF stand behind it and stop the searches. */
  private readonly carry = new Carry();
  // Offsets into the chunk or the carry. Of an oversized event the front is gone, and offsets into it are negative.
  private eventStart = 0;
  private lineStart = 0;
  private scanAt = 0;
  private dataStart = 0;
  private dataEnd = 0;
  /** Lines of the event that say something; comments and unknown fields before the first of them are forgotten. */
  private lines = 0;
  private dataLines = 0;
  /** The line before ended in CR, so a LF that comes now belongs to it. */
  private afterCr = false;
  private markBytes = 0;
  /** The event's name, "" without one. */
  private name = "";
  private readonly names = new NameCache();

  /**
   * Takes who wants the events, and the most bytes (lines, field names and line ends included) that one may have. Of a
   * longer one the last `OVERSIZED_TAIL_BYTES` at most are given, as they are, field names included.
   */
  constructor(sink: EventSink, eventBytesMax: number) {
    this.sink = sink;
    this.eventBytesMax = eventBytesMax;
  }

  /** Reads the next bytes of the stream: those from `from` to before `to`. Keeps no reference to the chunk. */
  feed(chunk: Uint8Array, from = 0, to = chunk.length): void {
    let at = this.markBytes < 3 ? this.skipMark(chunk, from, to) : from;
    while (at < to) {
      if (this.carry.length > 0) {
        at = this.feedCarry(chunk, at, to);
        continue;
      }
      this.eventStart = this.lineStart = this.scanAt = at;
      this.scan(chunk, to, false);
      if (this.eventStart < to) this.keep(chunk, to);
      return;
    }
  }

  /** The stream is over: gives the last event when its blank line is missing. */
  end(): void {
    if (this.carry.length > 0) {
      if (this.lineStart < this.carry.length)
        this.takeLine(this.carry.bytes, this.lineStart, this.carry.length);
      this.dispatch(this.carry.bytes, this.carry.length);
    }
    this.carry.clear();
  }

  /** Skips a byte order mark at the start of the stream. Gives the position after it. */
  private skipMark(chunk: Uint8Array, at: number, to: number): number {
    while (at < to && this.markBytes < 3 && chunk[at] === BYTE_ORDER_MARK[this.markBytes]) {
      at++;
      this.markBytes++;
    }
    if (at === to || this.markBytes === 3) return at;
    // What looked like a mark is the beginning of the first line.
    for (let i = 0; i < this.markBytes; i++) this.append(Uint8Array.of(...BYTE_ORDER_MARK), i, i + 1);
    this.markBytes = 3;
    return at;
  }

  /** Continues the incomplete event with bytes of the chunk. Gives the position after those it used. */
  private feedCarry(chunk: Uint8Array, at: number, to: number): number {
    const slice = Math.min(SLICE_BYTES, to - at);
    const before = this.carry.length;
    this.append(chunk, at, at + slice);
    if (this.scan(this.carry.bytes, this.carry.length, true)) {
      const used = this.scanAt - before;
      this.carry.clear();
      return at + used;
    }
    if (this.eventStart > 0) this.dropFront(this.eventStart);
    const isOversized = this.carry.length - this.eventStart > this.eventBytesMax;
    if (isOversized && this.carry.length > OVERSIZED_TAIL_BYTES + SLICE_BYTES) {
      this.dropFront(this.carry.length - OVERSIZED_TAIL_BYTES);
    }
    return at + slice;
  }

  /** Copies the incomplete event before `to`; of an oversized one only its tail. */
  private keep(chunk: Uint8Array, to: number): void {
    let from = this.eventStart;
    if (to - from > this.eventBytesMax) from = Math.max(from, to - OVERSIZED_TAIL_BYTES);
    this.append(chunk, from, to);
    this.shiftOffsets(from);
  }

  private append(chunk: Uint8Array, from: number, to: number): void {
    const carry = this.carry;
    carry.append(chunk, from, to);
    carry.bytes[carry.length] = CR;
    carry.bytes[carry.length + 1] = LF;
  }

  private dropFront(count: number): void {
    this.carry.dropFront(count);
    this.shiftOffsets(count);
  }

  private shiftOffsets(count: number): void {
    this.eventStart -= count;
    this.lineStart -= count;
    this.scanAt -= count;
    this.dataStart -= count;
    this.dataEnd -= count;
  }

  /**
   * Takes lines until `end`, or until the event is over when `untilEvent`; true in that case. Behind `end` there may be
   * anything: the framing of a chunk, or the CR LF behind the carry, which stops the searches.
   */
  private scan(bytes: Uint8Array, end: number, untilEvent: boolean): boolean {
    let at = this.scanAt;
    // Each is searched once per line end found, so a chunk is read at most twice however its lines end.
    let cr = -1;
    let lf = -1;
    while (at < end) {
      if (this.afterCr) {
        this.afterCr = false;
        if (bytes[at] === LF) {
          at++;
          if (this.eventStart === this.lineStart) this.eventStart = at;
          this.lineStart = at;
          continue;
        }
      }
      if (cr < at) cr = find(bytes, CR, at);
      if (lf < at) lf = bytes[at] === LF ? at : find(bytes, LF, at);
      const to = lf < cr ? lf : cr;
      if (to >= end) {
        at = end;
        break;
      }
      at = to + 1;
      // The LF of a CRLF is skipped in the next round, which may come with the next chunk.
      if (bytes[to] === CR) this.afterCr = true;
      if (to !== this.lineStart) {
        this.takeLine(bytes, this.lineStart, to);
        this.lineStart = at;
        if (this.lines === 0) this.eventStart = at;
        continue;
      }
      this.dispatch(bytes, to);
      this.eventStart = this.lineStart = at;
      if (untilEvent) break;
    }
    this.scanAt = at;
    return untilEvent && this.eventStart === at && this.lineStart === at;
  }

  /** Acts on a line that is not empty, given without its end. */
  private takeLine(bytes: Uint8Array, from: number, to: number): void {
    // Beyond the bound nothing is parsed: part of the line may be gone already.
    if (to - this.eventStart > this.eventBytesMax) {
      this.lines++;
      return;
    }
    const first = bytes[from];
    if (first === DATA[0] && isField(bytes, from, to, DATA)) {
      this.takeData(bytes, from + 5, to);
    } else if (first === EVENT[0] && isField(bytes, from, to, EVENT)) {
      const start = from + (bytes[from + 6] === SPACE ? 7 : 6);
      this.lines++;
      this.name = this.names.decode(bytes, Math.min(start, to), to);
    } else if (first === ERROR[0] && isField(bytes, from, to, ERROR)) {
      this.name = "error";
      this.takeData(bytes, from + 6, to);
    }
  }

  private takeData(bytes: Uint8Array, start: number, to: number): void {
    this.lines++;
    this.dataLines++;
    if (this.dataLines > 1) return;
    if (start < to && bytes[start] === SPACE) start++;
    this.dataStart = Math.min(start, to);
    this.dataEnd = to;
  }

  /** Gives the event that ends before `to`, if it has data, and begins a new one. */
  private dispatch(bytes: Uint8Array, to: number): void {
    const { sink, name, eventStart } = this;
    if (to - eventStart > this.eventBytesMax) {
      sink.onEvent(name, bytes, Math.max(eventStart, to - OVERSIZED_TAIL_BYTES), to, true);
    } else if (this.dataLines === 1) {
      sink.onEvent(name, bytes, this.dataStart, this.dataEnd, false);
    } else if (this.dataLines > 1) {
      const data = joinedData(bytes, eventStart, to);
      sink.onEvent(name, data, 0, data.length, false);
    }
    this.name = "";
    this.lines = 0;
    this.dataLines = 0;
  }
}

/** The data of an event of several data lines: one text with LF between them. Rare, so it is done the slow way. */
function joinedData(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const joined = new Uint8Array(to - from);
  let length = 0;
  let count = 0;
  while (from < to) {
    let stop = from;
    while (stop < to && bytes[stop] !== LF && bytes[stop] !== CR) stop++;
    const isError = isField(bytes, from, stop, ERROR);
    if (isError || isField(bytes, from, stop, DATA)) {
      let start = Math.min(stop, from + (isError ? 6 : 5));
      if (start < stop && bytes[start] === SPACE) start++;
      if (count++ > 0) joined[length++] = LF;
      joined.set(bytes.subarray(start, stop), length);
      length += stop - start;
    }
    from = stop + 1;
  }
  return joined.subarray(0, length);
}

function find(bytes: Uint8Array, byte: number, from: number): number {
  const at = bytes.indexOf(byte, from);
  return at < 0 ? NONE : at;
}

/** Whether the line is the named field: the name and a colon, or the name alone. */
function isField(bytes: Uint8Array, from: number, to: number, name: readonly number[]): boolean {
  const length = name.length;
  if (to - from < length) return false;
  if (to - from > length && bytes[from + length] !== COLON) return false;
  for (let i = 0; i < length; i++) if (bytes[from + i] !== name[i]) return false;
  return true;
}
