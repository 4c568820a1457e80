import { breakGate } from "./exercise.ts";
import type { Exercise } from "./exercise.ts";

declare const self: Worker;

interface Job {
  readonly file: string;
  readonly name: string;
  readonly exercise: Exercise;
}

self.onmessage = async ({ data }: MessageEvent<Job>) => {
  try {
    const module = (await import(data.file)) as Record<string, (exercise: Exercise) => unknown>;
    postMessage({ result: module[data.name]!(data.exercise) });
  } catch (error) {
    breakGate(data.exercise);
    postMessage({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
};
