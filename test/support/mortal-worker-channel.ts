/** Name of the channel by which tests hear of workers. */
export const BIRTHS = "llmproxy-test-births";

/** Name of the channel by which tests end workers. */
export const DEATHS = "llmproxy-test-deaths";

/** Ends the worker of this number. */
export interface Death {
  readonly worker: number;
  readonly exitCode: number;
}

/** Name of the channel by which tests make workers deaf. */
export const DEAFNESS = "llmproxy-test-deafness";

/** From now on the worker of this number hears no message of these kinds. */
export interface Deafness {
  readonly worker: number;
  readonly kinds: readonly string[];
}
