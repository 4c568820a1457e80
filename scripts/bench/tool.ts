import type { Subprocess } from "bun";

const STDERR_KEPT = 4096;
const END_WAIT_MS = 3_000;

/** A tool or server did not do what it should; the message says which and why. */
export class ToolError extends Error {}

/**
 * One of the load tools as a child process. It prints lines and runs until its stdin closes, so it ends with
 * this process, however that ends.
 */
export class Tool {
  readonly #name: string;
  readonly #child: Subprocess<"pipe", "pipe", "pipe">;
  readonly #lines: AsyncIterator<string>;
  #stderr = "";
  #end: Promise<void> | null = null;

  constructor(name: string, argv: readonly string[]) {
    if (stopped) throw new Error("the tools have been stopped");
    this.#name = name;
    this.#child = Bun.spawn([...argv], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
    this.#lines = linesOf(this.#child.stdout);
    void this.#keepErrors();
    running.add(this);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Whether the process is gone, for whatever reason. */
  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The next line of its output. Throws a ToolError when it ends or the time is up. */
  async line(limitMs: number): Promise<string> {
    let timer: Timer | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(resolve, limitMs, "late");
    });
    const next = await Promise.race([this.#lines.next(), late]);
    clearTimeout(timer);
    if (next === "late") throw this.#error(`said nothing for ${limitMs} ms`);
    if (next.done === true) throw this.#error(`ended with ${await this.#child.exited}`);
    return next.value;
  }

  /** The next line, which must be JSON, or an error with what the tool said. */
  async json(limitMs: number): Promise<Record<string, unknown>> {
    return JSON.parse(await this.line(limitMs)) as Record<string, unknown>;
  }

  /** Sends it a line: what it does then is its own affair. Nothing happens when it has ended. */
  tell(line: string): void {
    if (this.hasEnded) return;
    void this.#child.stdin.write(`${line}\n`);
    void this.#child.stdin.flush();
  }

  /** What to throw when it did something else than it should. */
  failure(reason: string): ToolError {
    return this.#error(reason);
  }

  /** Closes its stdin and waits for its end; ends it by force when that takes too long. May be called again. */
  stop(): Promise<void> {
    this.#end ??= this.#stop();
    return this.#end;
  }

  async #stop(): Promise<void> {
    void this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_WAIT_MS);
    await this.#child.exited;
    clearTimeout(timer);
    running.delete(this);
  }

  #error(reason: string): ToolError {
    const said = this.#stderr.trim();
    return new ToolError(`${this.#name} ${reason}${said === "" ? "" : `; it said:\n${said}`}`);
  }

  async #keepErrors(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) {
      this.#stderr = (this.#stderr + decoder.decode(chunk, { stream: true })).slice(-STDERR_KEPT);
    }
  }
}

const running = new Set<Tool>();
let stopped = false;

/** Stops all tools and what they started. From now on none can be started. */
export async function stopAllTools(): Promise<void> {
  stopped = true;
  await Promise.all([...running].map((tool) => tool.stop()));
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
