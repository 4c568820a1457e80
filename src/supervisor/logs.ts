import type { AccessLogPlan } from "../config/plan.ts";
import type { SampleSource } from "../observe/board.ts";
import { identityOf, sinkOf } from "../observe/byte-sinks.ts";
import { LineOutput } from "../observe/line-output.ts";
import { linesIn } from "../observe/lines-in.ts";
import { LogFile } from "../observe/log-file.ts";

const STDOUT = 1;
const STDERR = 2;
const CLOSE_LIMIT_MS = 5_000;
const NOTHING = new Uint8Array(0);

/** An access log that is open. */
export interface AccessOutput {
  /** Null = standard output. */
  readonly path: string | null;
  readonly output: LineOutput;
  readonly file: LogFile | null;
}

/** Closes an access log when its last lines are written. What stays open is left alone. */
export async function closeAccess({ output, file }: AccessOutput): Promise<void> {
  if (file === null) return;
  await output.flush(CLOSE_LIMIT_MS);
  await file.close();
}

/** Where the program's log and the access log go. Nothing here waits, and nothing is lost without being counted. */
export class Logs {
  private droppedLines = 0;
  private droppedAccessLines = 0;
  private readonly program = new LineOutput(sinkOf(STDERR));
  private standardOutput: LineOutput | null = null;
  private access: AccessOutput | null = null;

  /** Takes one line of the program's log, with its end. */
  readonly writeLine = (line: string): void => {
    this.program.write(Buffer.from(line), (lines) => {
      this.droppedLines += lines;
    });
  };

  /** Opens where an access log goes, for `useAccess`; what is open already is given again. Throws what `openSync` throws. */
  openAccess({ path }: AccessLogPlan): AccessOutput {
    if (this.access !== null && this.access.path === path) return this.access;
    if (path === null) return { path, output: this.openStandardOutput(), file: null };
    const file = new LogFile(path);
    return { path, output: new LineOutput(file), file };
  }

  /** Whether the access log is written there. */
  uses(access: AccessOutput): boolean {
    return this.access === access;
  }

  /** Writes the access log there from now on. */
  useAccess(access: AccessOutput): void {
    const before = this.access;
    this.access = access;
    if (before !== null && before !== access) void closeAccess(before);
  }

  private openStandardOutput(): LineOutput {
    // Two writers to one pipe would mix their lines where it takes only a part.
    const isShared = identityOf(STDOUT) !== null && identityOf(STDOUT) === identityOf(STDERR);
    this.standardOutput ??= isShared ? this.program : new LineOutput(sinkOf(STDOUT));
    return this.standardOutput;
  }

  /** Takes whole lines of the access log, which must stay as they are until `onDone`. */
  readonly writeAccess = (lines: Uint8Array, onDone: () => void): void => {
    const count = (dropped: number) => {
      this.droppedAccessLines += dropped;
      onDone();
    };
    if (this.access === null) count(linesIn(lines));
    else this.access.output.write(lines, count);
  };

  /** Tells how many lines could not be written. */
  readonly samples: SampleSource = (add) => {
    add("llmproxy_access_log_dropped_lines_total", [], this.droppedAccessLines);
    add("llmproxy_log_dropped_lines_total", [], this.droppedLines);
  };

  /** Opens a file anew, as its name may lead to another one by now. */
  reopen(): void {
    this.access?.file?.reopen();
    this.access?.output.write(NOTHING, () => {});
  }

  /** Settles when all is written, or after `limitMs`. */
  async flush(limitMs: number): Promise<void> {
    await Promise.all([this.program.flush(limitMs), this.access?.output.flush(limitMs)]);
  }
}
