import type { AccessLogPlan } from "../config/plan.ts";
import type { SampleSource } from "../observe/board.ts";
import { identityOf, sinkOf } from "../observe/byte-sinks.ts";
import { LineOutput, linesIn } from "../observe/line-output.ts";
import { LogFile } from "../observe/log-file.ts";

const STDOUT = 1;
const STDERR = 2;

/** Where the program's log and the access log go. Nothing here waits, and nothing is lost without being counted. */
export class Logs {
  private droppedLines = 0;
  private droppedAccessLines = 0;
  private readonly program = new LineOutput(sinkOf(STDERR));
  private access: LineOutput | null = null;
  private file: LogFile | null = null;

  /** Takes one line of the program's log, with its end. */
  readonly writeLine = (line: string): void => {
    this.program.write(line, (lines) => {
      this.droppedLines += lines;
    });
  };

  /** Opens the access log. Throws what `openSync` throws. */
  openAccess(plan: AccessLogPlan): void {
    if (plan.path !== null) {
      this.file = new LogFile(plan.path);
      this.access = new LineOutput(this.file);
    } else if (identityOf(STDOUT) !== null && identityOf(STDOUT) === identityOf(STDERR)) {
      // Two writers to one pipe would mix their lines where it takes only a part.
      this.access = this.program;
    } else {
      this.access = new LineOutput(sinkOf(STDOUT));
    }
  }

  /** Takes whole lines of the access log. */
  readonly writeAccess = (lines: string): void => {
    if (this.access === null) this.droppedAccessLines += linesIn(lines);
    else
      this.access.write(lines, (dropped) => {
        this.droppedAccessLines += dropped;
      });
  };

  /** Tells how many lines could not be written. */
  readonly samples: SampleSource = (add) => {
    add("llmproxy_access_log_dropped_lines_total", [], this.droppedAccessLines);
    add("llmproxy_log_dropped_lines_total", [], this.droppedLines);
  };

  /** Opens a file anew, as its name may lead to another one by now. */
  reopen(): void {
    this.file?.reopen();
    this.access?.write("", () => {});
  }

  /** Settles when all is written, or after `limitMs`. */
  async flush(limitMs: number): Promise<void> {
    await Promise.all([this.program.flush(limitMs), this.access?.flush(limitMs)]);
  }
}
