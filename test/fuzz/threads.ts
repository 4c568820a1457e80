import { GATE_BYTES } from "./exercise.ts";
import type { Exercise } from "./exercise.ts";

interface Answer {
  readonly result?: unknown;
  readonly failure?: string;
}

const THREADS = 4;

/** Seed of this run; set FUZZ_SEED to repeat one. The threads still meet at other moments each time. */
export const SEED = Number(Bun.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** Four worker threads that run functions of an exercise file at the same time. */
export class Threads {
  readonly #workers: readonly Worker[];
  readonly #file: string;

  /** `file` is the URL of the module whose exported functions are to be run. */
  constructor(file: URL) {
    this.#file = file.href;
    const url = new URL("./thread.ts", import.meta.url);
    this.#workers = Array.from({ length: THREADS }, () => new Worker(url));
  }

  /**
   * Runs one exported function in all threads over a fresh buffer, and gives that and what each thread returned. Throws when one
   * of them threw.
   */
  async run<Result>(name: string, bytes: number): Promise<{ results: Result[]; buffer: SharedArrayBuffer }> {
    const buffer = new SharedArrayBuffer(bytes);
    const gate = new SharedArrayBuffer(GATE_BYTES);
    const answers = await Promise.all(
      this.#workers.map((worker, thread) => {
        const exercise: Exercise = { buffer, gate, thread, threads: THREADS, seed: SEED + thread };
        return new Promise<Answer>((resolve) => {
          worker.onmessage = ({ data }: MessageEvent<Answer>) => resolve(data);
          worker.onerror = ({ message }) => resolve({ failure: message });
          worker.postMessage({ file: this.#file, name, exercise });
        });
      }),
    );
    const failures = answers.flatMap(({ failure }) => failure ?? []);
    if (failures.length > 0) throw new Error(`with FUZZ_SEED=${SEED}:\n${failures.join("\n")}`);
    return { results: answers.map(({ result }) => result as Result), buffer };
  }

  stop(): void {
    for (const worker of this.#workers) worker.terminate();
  }
}
