import type { Plan } from "../config/plan.ts";
import type { MemorySize } from "../memory/shared-memory.ts";
import type { Level } from "../observe/log.ts";
import type { SeriesNotice } from "../observe/recorder.ts";

/** What the supervisor says to a worker. */
export type ToWorker =
  | {
      readonly kind: "start";
      /** Number of the worker, from 0. */
      readonly worker: number;
      readonly plan: Plan;
      readonly memory: SharedArrayBuffer;
      readonly size: MemorySize;
      /** Port of each forward, by id; 0 = any. */
      readonly ports: readonly number[];
      readonly logLevel: Level;
    }
  /** The supervisor's clock, as asked for. */
  | { readonly kind: "clock"; readonly nowMs: number }
  /** Accept nothing more, finish what is in progress, then say `drained`. */
  | { readonly kind: "drain" };

/** What a worker says to the supervisor. */
export type FromWorker =
  | { readonly kind: "clock?" }
  | { readonly kind: "listening"; readonly ports: readonly number[] }
  | { readonly kind: "cannot-listen"; readonly forward: number; readonly code: string }
  | { readonly kind: "series"; readonly notices: readonly SeriesNotice[] }
  /** Lines of the access log, each with its end. */
  | { readonly kind: "access"; readonly lines: string }
  | { readonly kind: "log"; readonly line: string }
  | { readonly kind: "drained" };
