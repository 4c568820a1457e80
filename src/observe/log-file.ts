import { close, constants, fstatSync, openSync, stat } from "node:fs";

import { type ByteSink, FileSink } from "./byte-sinks.ts";
import { log } from "./log.ts";

/** A look at the file's name costs a system call, so it is taken at most this often. */
const CHECK_EVERY_MS = 1_000;

/**
 * A file to append to, which follows its name: when the name leads to another file than the one that is open, as after
 * a rotation, or to none, it is opened again. Without that the lines would go on into the file that was moved away.
 */
export class LogFile implements ByteSink {
  private readonly path: string;
  private opened: { readonly fd: number; readonly file: FileSink; readonly identity: string };
  private checkedMs = performance.now();
  private shallReopen = false;
  /** The last attempt to open it again failed, which was said. */
  private failing = false;
  private isClosed = false;
  private underWay: Promise<number> = Promise.resolve(0);

  /** Opens the file, which is made when there is none. Throws what `openSync` throws. */
  constructor(path: string) {
    this.path = path;
    this.opened = open(path);
  }

  /** Opens the file again before the next line, or now when there is none under way. */
  reopen(): void {
    this.shallReopen = true;
  }

  /**
   * Closes it once what is under way is written; what comes later is not. Closed at once, its descriptor could be that of
   * a client's connection by the time a slow disk lets the rest be written.
   */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.underWay;
    close(this.opened.fd, () => {});
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.isClosed) return Promise.resolve(0);
    this.underWay = this.writeNow(bytes);
    return this.underWay;
  }

  private async writeNow(bytes: Uint8Array): Promise<number> {
    if (this.shallReopen || (this.isDue() && (await this.hasMoved()))) this.openAgain();
    return this.opened.file.write(bytes);
  }

  private isDue(): boolean {
    const now = performance.now();
    if (now - this.checkedMs < CHECK_EVERY_MS) return false;
    this.checkedMs = now;
    return true;
  }

  private hasMoved(): Promise<boolean> {
    return new Promise((resolve) => {
      stat(this.path, (error, found) => {
        resolve(error !== null || `${found.dev}:${found.ino}` !== this.opened.identity);
      });
    });
  }

  private openAgain(): void {
    this.shallReopen = false;
    const old = this.opened;
    try {
      this.opened = open(this.path);
    } catch (error) {
      // The one that is open still takes lines; a later look may find the name in order.
      const code = String((error as { code?: unknown }).code ?? "unknown");
      if (!this.failing) log("error", "access log cannot be opened again", { path: this.path, code });
      this.failing = true;
      return;
    }
    this.failing = false;
    close(old.fd, () => {});
  }
}

function open(path: string) {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
  // Without O_NONBLOCK opening a named pipe would wait for a reader.
  const fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o640);
  const { dev, ino } = fstatSync(fd);
  return { fd, file: new FileSink(fd), identity: `${dev}:${ino}` };
}
