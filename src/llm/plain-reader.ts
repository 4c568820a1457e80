import { DialectReader, isDoneMarker, isKeepAlive } from "./dialect-reader.ts";

/** Paths that say nothing of tokens, and unknown ones: events are counted, bodies left alone. */
export class PlainReader extends DialectReader {
  override onEvent(name: string, bytes: Uint8Array, start: number, end: number): void {
    if (start === end || isKeepAlive(name) || isDoneMarker(bytes, start, end)) return;
    this.facts.payloadEvents++;
    this.facts.contentEvents++;
  }

  override onTail(): void {}

  override onBody(): void {}
}
