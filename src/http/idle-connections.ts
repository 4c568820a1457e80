/** What can be closed without loss while it is at rest. */
export interface Retirable {
  /** Closes it if it has nothing in progress. */
  retire(): void;
}

/** Connections that wait for a request, the longest waiting first: the ones to close when there are too many. */
export class IdleConnections {
  private readonly connections = new Set<Retirable>();
  private readonly onChange: (idle: IdleConnections) => void;

  /** `onChange`: there is one more, or one less. */
  constructor(onChange: (idle: IdleConnections) => void = () => {}) {
    this.onChange = onChange;
  }

  add(connection: Retirable): void {
    this.connections.add(connection);
    this.onChange(this);
  }

  delete(connection: Retirable): void {
    if (this.connections.delete(connection)) this.onChange(this);
  }

  get size(): number {
    return this.connections.size;
  }

  /** Closes the one that has waited longest. False: there is none. */
  closeLongest(): boolean {
    for (const connection of this.connections) {
      this.delete(connection);
      connection.retire();
      return true;
    }
    return false;
  }
}
