import { DialectReader, isDoneMarker, isKeepAlive } from "./dialect-reader.ts";
import { Members } from "./members.ts";

const MEMBERS = new Members([]);

/** Paths that say nothing of tokens, and unknown ones: events are counted, bodies left alone. */
export class PlainReader extends DialectReader {
  override readonly members = MEMBERS;

  override onEvent(name: string, bytes: Uint8Array, start: number, end: number): void {
    if (start === end || isKeepAlive(name) || isDoneMarker(bytes, start, end)) return;
    this.facts.payloadEvents++;
    this.facts.contentEvents++;
  }

  override onTail(): void {}

  override onBody(): void {}
}
