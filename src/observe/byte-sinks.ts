import { constants, fstatSync, openSync, write, writeSync } from "node:fs";

/** Somewhere to write to that may be slow, full or gone. Never blocks the thread and never throws. */
export interface ByteSink {
  /** Writes all, or as much as can be written. Gives how many bytes went out. One call at a time. */
  write(bytes: Uint8Array): Promise<number>;
}

/** How long to wait for a terminal that takes nothing more, as after Ctrl-S. */
const TERMINAL_WAIT_MS = 20;

/** Gives the right way to write to a descriptor that was handed to the process, such as standard output. */
export function sinkOf(fd: number): ByteSink {
  try {
    const stat = fstatSync(fd);
    if (stat.isFIFO() || stat.isSocket()) return new StreamSink(unblocked(fd) ?? fd);
    if (!stat.isCharacterDevice() || !isTerminal(fd)) return new FileSink(fd);
    const terminal = unblocked(fd);
    return terminal === null ? new FileSink(fd) : new TerminalSink(terminal);
  } catch {
    return NOWHERE;
  }
}

/** Names what a descriptor leads to: two that lead to the same pipe or file have the same name. Null = it is not open. */
export function identityOf(fd: number): string | null {
  try {
    const { dev, ino } = fstatSync(fd);
    return `${dev}:${ino}`;
  } catch {
    return null;
  }
}

/**
 * Opens the same pipe or terminal anew, in a mode that does not block. The mode belongs to an open file, which other
 * processes may share; changed on the descriptor we were given, it would change for them too. Null where there is no such way
 * (sockets, other systems than Linux, a descriptor that was opened by another user).
 */
function unblocked(fd: number): number | null {
  try {
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return null;
  }
}

const NOWHERE: ByteSink = { write: () => Promise.resolve(0) };

/** A file: a thread of the runtime's pool writes, at most one at a time. */
export class FileSink implements ByteSink {
  private readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  async write(bytes: Uint8Array): Promise<number> {
    let written = 0;
    while (written < bytes.length) {
      const count = await this.writeSome(bytes, written);
      // A full disk, a quota, an error of the device.
      if (count <= 0) break;
      written += count;
    }
    return written;
  }

  private writeSome(bytes: Uint8Array, from: number): Promise<number> {
    return new Promise((resolve) => {
      write(this.fd, bytes, from, bytes.length - from, null, (error, count) =>
        resolve(error === null ? count : -1),
      );
    });
  }
}

/** A pipe or socket: the runtime waits for it among its other events. */
class StreamSink implements ByteSink {
  private readonly writer: Bun.FileSink;
  private broken = false;

  constructor(fd: number) {
    this.writer = Bun.file(fd).writer();
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (this.broken) return 0;
    try {
      const taken = this.writer.write(bytes);
      await Promise.all([taken, this.writer.flush()]);
      return bytes.length;
    } catch {
      // Whoever read from it is gone, and does not come back.
      this.broken = true;
      return 0;
    }
  }
}

/** A terminal, opened so that it does not block. The runtime's own way of writing to one does. */
class TerminalSink implements ByteSink {
  private readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  async write(bytes: Uint8Array): Promise<number> {
    let written = 0;
    while (written < bytes.length) {
      try {
        written += writeSync(this.fd, bytes, written);
      } catch (error) {
        if ((error as { code?: unknown }).code !== "EAGAIN") break;
        await new Promise((resolve) => setTimeout(resolve, TERMINAL_WAIT_MS));
      }
    }
    return written;
  }
}

/** The module is loaded only where it could be one: it takes megabytes. */
function isTerminal(fd: number): boolean {
  return process.getBuiltinModule("node:tty").isatty(fd);
}
