import type { Capacity } from "../memory/capacity.ts";
import type { Level } from "../observe/log.ts";
import type { SeriesNotice } from "../observe/recorder.ts";
import type { Generation } from "../proxy/generation.ts";

/** What the supervisor says to a worker. */
export type ToWorker =
  | {
      readonly kind: "start";
      /** Number of the worker, from 0. */
      readonly worker: number;
      readonly generation: Generation;
      readonly memory: SharedArrayBuffer;
      readonly capacity: Capacity;
      readonly logLevel: Level;
    }
  /** The supervisor's clock, as asked for. */
  | { readonly kind: "clock"; readonly nowMs: number }
  /** Another configuration comes: open what it has and the present one has not, and say whether that went well. */
  | { readonly kind: "prepare"; readonly generation: Generation }
  /** Serve by what was prepared, and say so. */
  | { readonly kind: "commit" }
  /** Forget what was prepared. */
  | { readonly kind: "discard" }
  /** Accept nothing more, finish what is in progress, then say `drained`. */
  | { readonly kind: "drain" }
  /** Break off what is in progress; `drained` follows. */
  | { readonly kind: "cut" }
  /** End the thread. */
  | { readonly kind: "end" };

/** What a worker says to the supervisor. */
export type FromWorker =
  | { readonly kind: "clock?" }
  /** Answer to `start` and `prepare`: every forward is listened on, on these ports, by id. */
  | { readonly kind: "listening"; readonly generation: number; readonly ports: readonly number[] }
  /** The other answer to `start` and `prepare`: the id of a forward, and what the system says. */
  | {
      readonly kind: "cannot-listen";
      readonly generation: number;
      readonly forward: number;
      readonly code: string;
    }
  | { readonly kind: "committed"; readonly generation: number }
  /** No request is on an earlier configuration any longer. */
  | { readonly kind: "settled"; readonly generation: number }
  | { readonly kind: "series"; readonly notices: readonly SeriesNotice[] }
  /** So many bytes of lines of the access log, each with its end, are in one of its slots for them. */
  | { readonly kind: "access"; readonly slot: number; readonly length: number }
  | { readonly kind: "log"; readonly line: string }
  | { readonly kind: "drained" };
