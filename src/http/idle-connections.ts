/** What can be closed without loss while it is at rest. */
export interface Retirable {
  /** Closes it if it has nothing in progress. */
  retire(): void;
}

/** Connections that wait for a request, the longest waiting first: the ones to close when there are too many. */
export class IdleConnections {
  private readonly connections = new Set<Retirable>();

  add(connection: Retirable): void {
    this.connections.add(connection);
  }

  delete(connection: Retirable): void {
    this.connections.delete(connection);
  }

  get size(): number {
    return this.connections.size;
  }

  /** Closes the one that has waited longest. False: there is none. */
  closeLongest(): boolean {
    for (const connection of this.connections) {
      this.connections.delete(connection);
      connection.retire();
      return true;
    }
    return false;
  }
}
