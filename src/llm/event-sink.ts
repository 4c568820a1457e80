/** Who takes the events of a stream: server-sent events, lines or elements of an array. */
export interface EventSink {
  /**
   * Takes one: its data are the bytes from `start` to before `end`, as they are only while this runs. `name`: that of a
   * server-sent event, "" without one. `oversized`: it is too long, and these are its last bytes.
   */
  onEvent(name: string, bytes: Uint8Array, start: number, end: number, oversized: boolean): void;
}
