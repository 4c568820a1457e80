/** Name of the channel by which tests end workers. */
export const DEATHS = "llmproxy-test-deaths";

/** Ends the worker of this number. */
export interface Death {
  readonly worker: number;
  readonly exitCode: number;
}
