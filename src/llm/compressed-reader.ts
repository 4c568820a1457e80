import { cut } from "../http/cut.ts";
import { Carry } from "./carry.ts";
import { isKnownCoding } from "./codecs.ts";
import type { ResponseFacts } from "./response-facts.ts";
import type { ResponseReader, Verdict } from "./response-reader.ts";
import { unpackAll, Unpacker } from "./unpacker.ts";

/** A packed body up to this size is unpacked when it is all there, on the thread: well under a millisecond. */
const SMALL_BYTES_MAX = 32 * 1024;
const SMALL_UNPACKED_BYTES_MAX = 512 * 1024;

/**
 * Reads a compressed response: unpacks a copy of it and hands that to the reader. An event stream is unpacked as it
 * comes, anything else at its end, or as it comes once it is large. What cannot be unpacked is noted in the facts.
 */
export class CompressedReader {
  private readonly reader: ResponseReader;
  private readonly coding: string;
  private readonly packed = new Carry();
  private unpacker: Unpacker | null = null;
  private failed: boolean;
  private settle: (() => void) | null = null;

  /** Takes the reader of the unpacked bytes and the coding, known or not. */
  constructor(reader: ResponseReader, coding: string) {
    this.reader = reader;
    this.coding = coding;
    this.failed = !isKnownCoding(coding);
    if (this.failed) reader.giveUp();
  }

  /** What is known so far; some way behind the bytes. */
  get facts(): ResponseFacts {
    return this.reader.facts;
  }

  /** Takes the next packed bytes, of which it makes a copy. */
  feed(chunk: Uint8Array, from = 0, to = chunk.length): void {
    const { facts } = this.reader;
    if (facts.framing === "opaque" || from === to) return;
    if (this.unpacker !== null) {
      this.unpacker.urgent = facts.contentEvents === 0;
      this.unpacker.write(cut(chunk, from, to));
      return;
    }
    this.packed.append(chunk, from, to);
    if (this.reader.isStream || this.packed.length > SMALL_BYTES_MAX) this.unpackAsItComes();
  }

  /** See `ResponseWatch`. */
  end(clean: boolean): Verdict | Promise<Verdict> {
    if (this.unpacker === null && this.packed.length > 0 && !this.unpackAtOnce()) this.unpackAsItComes();
    const { unpacker } = this;
    if (unpacker === null || this.failed) return this.reader.end(clean);
    return new Promise((resolve) => {
      this.settle = () => resolve(this.reader.end(clean));
      unpacker.end();
    });
  }

  /** See `ResponseWatch`. */
  cancel(): void {
    this.settle = null;
    this.unpacker?.stop();
    this.packed.clear();
  }

  /** False when the body is broken or large; then its beginning may still be worth something. */
  private unpackAtOnce(): boolean {
    const packed = this.packed.bytes.subarray(0, this.packed.length);
    const bytes = unpackAll(this.coding, packed, SMALL_UNPACKED_BYTES_MAX);
    if (bytes === null) return false;
    this.reader.feed(bytes);
    return true;
  }

  private unpackAsItComes(): void {
    const { bytes, length } = this.packed;
    this.unpacker = new Unpacker(
      this.coding,
      bytes[0]!,
      (unpacked) => this.reader.feed(unpacked),
      (ok) => this.onUnpacked(ok),
    );
    this.unpacker.write(bytes.subarray(0, length));
    this.packed.clear();
  }

  private onUnpacked(ok: boolean): void {
    if (!ok) {
      this.failed = true;
      this.reader.giveUp();
    }
    this.settle?.();
    this.settle = null;
  }
}
