/** What each thread of an exercise gets. */
export interface Exercise {
  /** Shared by all threads of the exercise. */
  readonly buffer: SharedArrayBuffer;
  readonly gate: SharedArrayBuffer;
  readonly thread: number;
  readonly threads: number;
  readonly seed: number;
}

// Words of the gate.
const ARRIVED = 0;
const ROUND = 1;
const BROKEN = 2;
export const GATE_BYTES = 12;

/** Waking a thread takes longer than most races last, so it looks for itself this often first. */
const SPINS = 3_000;

/** Waits until all threads are here, so that what follows happens at the same time. */
export function meet({ gate, threads }: Exercise): void {
  const words = new Int32Array(gate);
  const round = Atomics.load(words, ROUND);
  if (Atomics.add(words, ARRIVED, 1) === threads - 1) {
    Atomics.store(words, ARRIVED, 0);
    Atomics.add(words, ROUND, 1);
    Atomics.notify(words, ROUND);
    return;
  }
  for (let i = 0; i < SPINS && Atomics.load(words, ROUND) === round; i++);
  while (Atomics.load(words, ROUND) === round) Atomics.wait(words, ROUND, round);
  if (Atomics.load(words, BROKEN) === 1) throw new Error("another thread failed");
}

/** A thread that failed lets the others go on, to fail too. */
export function breakGate({ gate }: Exercise): void {
  const words = new Int32Array(gate);
  Atomics.store(words, BROKEN, 1);
  Atomics.add(words, ROUND, 1);
  Atomics.notify(words, ROUND);
}

/** Throws in the thread; the test that runs the exercise fails with the message. */
export function must(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}
