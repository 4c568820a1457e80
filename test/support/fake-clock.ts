import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Glob } from "bun";

/** libfaketime for programs with several threads; null when this machine has none (Debian: package `faketime`). */
const library =
  process.platform === "linux"
    ? ([...new Glob("usr/lib*/**/faketime/libfaketimeMT.so.1").scanSync({ cwd: "/", absolute: true })][0] ??
      null)
    : null;

export const hasFakeClock = library !== null;

/** A wall clock that jumps when it is told to, for a process that gets `env`. Its monotonic clock is left alone. */
export class FakeClock {
  readonly env: Readonly<Record<string, string>>;
  private readonly directory = mkdtempSync(join(tmpdir(), "llmproxy-clock-"));
  private readonly file = join(this.directory, "offset");

  constructor() {
    if (library === null) throw new Error("there is no libfaketime");
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
    this.jump(0);
  }

  /** Sets it off by so many seconds against the machine's clock. */
  jump(seconds: number): void {
    // Put in place whole: it is read all the time.
    writeFileSync(`${this.file}.new`, `${seconds < 0 ? "" : "+"}${seconds}`);
    renameSync(`${this.file}.new`, this.file);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
