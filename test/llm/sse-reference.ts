import type { EventSink } from "../../src/llm/event-sink.ts";
import { OVERSIZED_TAIL_BYTES, SseReader } from "../../src/llm/sse.ts";

/** An event as text with one character per byte, so that nothing is lost in decoding. */
export interface PlainEvent {
  readonly name: string;
  readonly data: string;
  readonly oversized: boolean;
}

interface Line {
  readonly from: number;
  readonly to: number;
  readonly next: number;
}

/** Reads a whole stream in the slowest and plainest way. */
export function referenceEvents(bytes: Uint8Array, eventBytesMax: number): PlainEvent[] {
  let text = Buffer.from(bytes).toString("latin1");
  if (text.startsWith("\xEF\xBB\xBF")) text = text.slice(3);
  const events: PlainEvent[] = [];
  let start = 0;
  let name = "";
  let data: string[] = [];
  let says = false;
  const dispatch = (to: number): void => {
    if (to - start > eventBytesMax) {
      events.push({
        name,
        data: text.slice(Math.max(start, to - OVERSIZED_TAIL_BYTES), to),
        oversized: true,
      });
    } else if (data.length > 0) {
      events.push({ name, data: data.join("\n"), oversized: false });
    }
    name = "";
    data = [];
    says = false;
  };
  for (const { from, to, next } of linesOf(text)) {
    if (from === to) {
      dispatch(from);
      start = next;
      continue;
    }
    const line = text.slice(from, to);
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (to - start > eventBytesMax) {
      says = true;
    } else if (field === "data" || field === "error") {
      says = true;
      data.push(value);
      if (field === "error") name = "error";
    } else if (field === "event") {
      says = true;
      name = value.slice(0, 64);
    }
    if (!says) start = next;
  }
  dispatch(text.length);
  return events;
}

function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  let from = 0;
  while (from < text.length) {
    let to = from;
    while (to < text.length && text[to] !== "\n" && text[to] !== "\r") to++;
    const next = text[to] === "\r" && text[to + 1] === "\n" ? to + 2 : to + 1;
    lines.push({ from, to, next });
    from = next;
  }
  return lines;
}

/** What must not be read: it would end a line, and be an event. */
const AROUND = Buffer.from("\r\n\r\ndata: not of the stream\n\n");

/**
 * Reads the stream with the reader under test, each chunk within memory of its own that has other bytes around it and is
 * wiped afterwards.
 */
export function readEvents(chunks: readonly Uint8Array[], eventBytesMax = 1024 * 1024): PlainEvent[] {
  const events: PlainEvent[] = [];
  const onEvent: EventSink["onEvent"] = (name, bytes, start, end, oversized) => {
    const data = Buffer.from(bytes.subarray(start, end)).toString("latin1");
    events.push({ name, data, oversized });
  };
  const reader = new SseReader({ onEvent }, eventBytesMax);
  for (const chunk of chunks) {
    const memory = Buffer.concat([AROUND, chunk, AROUND]);
    reader.feed(memory, AROUND.length, AROUND.length + chunk.length);
    memory.fill(0x58);
  }
  reader.end();
  return events;
}
