import { Carry } from "./carry.ts";
import { type Codec, codecOf } from "./codecs.ts";

/** At most this much is unpacked of one response, however well it was packed. */
const UNPACKED_BYTES_MAX = 64 * 1024 * 1024;
/** Nor more than so much for each packed byte, beyond a first megabyte. Streams of like events reach about 50. */
const RATIO_MAX = 256;
const RATIO_FREE_BYTES = 1024 * 1024;
/** Packed bytes that may wait while others are being unpacked. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/**
 * One call of a decoder costs as much as relaying several tokens, so packed bytes are gathered: so many, or so long
 * after the first of them.
 */
const BATCH_BYTES = 16 * 1024;
const BATCH_MS = 500;

/**
 * Unpacks a small body at once, which costs a twentieth of what a stream does (about 15 us for 2 KB). Gives null when it
 * is broken, or unpacks to more than `bytesMax`.
 */
export function unpackAll(coding: string, packed: Uint8Array, bytesMax: number): Uint8Array | null {
  try {
    return codecOf(coding, packed[0]).unpack(packed, bytesMax);
  } catch {
    return null;
  }
}

/**
 * Unpacks a stream of unknown length in batches, off the thread, within bounds. Never blocks and never throws. The
 * decoder's memory is given back at the end, at a failure, and by `stop`.
 */
export class Unpacker {
  /** While true, bytes are unpacked as soon as they come instead of in batches. */
  urgent = true;
  private readonly decoder: ReturnType<Codec["open"]>;
  private readonly onBytes: (bytes: Uint8Array) => void;
  private readonly onEnd: (ok: boolean) => void;
  private readonly waiting = new Carry();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private packedBytes = 0;
  private unpackedBytes = 0;
  private isWriting = false;
  private isEnding = false;
  private isOver = false;

  /**
   * Takes a known coding, the first byte of the body, who wants the unpacked bytes, and who wants to know that all have
   * been given (`ok`) or that no more will come, because they are broken or too many.
   */
  constructor(
    coding: string,
    firstByte: number,
    onBytes: (bytes: Uint8Array) => void,
    onEnd: (ok: boolean) => void,
  ) {
    this.onBytes = onBytes;
    this.onEnd = onEnd;
    this.decoder = codecOf(coding, firstByte).open();
    this.decoder.on("data", (bytes: Uint8Array) => this.take(bytes));
    this.decoder.on("end", () => this.finish(true));
    this.decoder.on("error", () => this.finish(false));
  }

  /** Takes packed bytes, of which it makes a copy. */
  write(chunk: Uint8Array): void {
    if (this.isOver) return;
    this.packedBytes += chunk.length;
    // One chunk of any size is let through: whoever feeds it holds as much already.
    const isTooMuch = this.waiting.length + chunk.length > WAITING_BYTES_MAX;
    if (isTooMuch && this.waiting.length > 0) return this.finish(false);
    this.waiting.append(chunk, 0, chunk.length);
    this.schedule();
  }

  /** No more comes. `onEnd` is called once the rest is unpacked, unless it was called already. */
  end(): void {
    if (this.isOver) return;
    this.isEnding = true;
    this.schedule();
  }

  /** Gives everything up, without calling anybody. */
  stop(): void {
    this.isOver = true;
    this.clearTimer();
    this.waiting.clear();
    this.decoder.destroy();
  }

  private schedule(): void {
    if (this.isWriting) return;
    if (this.isEnding) {
      this.clearTimer();
      this.isWriting = true;
      this.decoder.end(this.takeWaiting());
    } else if (this.urgent || this.waiting.length >= BATCH_BYTES) {
      this.flush();
    } else {
      this.timer ??= setTimeout(() => this.flush(), BATCH_MS).unref();
    }
  }

  private flush(): void {
    this.clearTimer();
    if (this.isOver || this.isWriting || this.waiting.length === 0) return;
    this.isWriting = true;
    this.decoder.write(this.takeWaiting(), () => {
      this.isWriting = false;
      if (!this.isOver && (this.isEnding || this.waiting.length > 0)) this.schedule();
    });
  }

  private takeWaiting(): Uint8Array {
    const bytes = this.waiting.bytes.slice(0, this.waiting.length);
    this.waiting.clear();
    return bytes;
  }

  private take(bytes: Uint8Array): void {
    if (this.isOver) return;
    this.unpackedBytes += bytes.length;
    const bytesMax = Math.min(UNPACKED_BYTES_MAX, RATIO_FREE_BYTES + this.packedBytes * RATIO_MAX);
    if (this.unpackedBytes > bytesMax) this.finish(false);
    else this.onBytes(bytes);
  }

  private finish(ok: boolean): void {
    if (this.isOver) return;
    this.stop();
    this.onEnd(ok);
  }

  private clearTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}
