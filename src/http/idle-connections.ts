/** What can be closed without loss while it is at rest. */
export interface Retirable {
  /** Fields of the list it stands in; written by `IdleConnections` only. Null = in none. */
  idleBefore: Retirable | null;
  idleAfter: Retirable | null;
  /** Closes it if it has nothing in progress. */
  retire(): void;
}

/**
 * Connections that wait for a request, the longest waiting first: the ones to close when there are too many. A list
 * through the connections themselves, as each of their requests takes one out and puts it back.
 */
export class IdleConnections {
  private readonly ends: Retirable = { idleBefore: null, idleAfter: null, retire() {} };
  private count = 0;
  private readonly onChange: (idle: IdleConnections) => void;

  /** `onChange`: there is one more, or one less. */
  constructor(onChange: (idle: IdleConnections) => void = () => {}) {
    this.ends.idleBefore = this.ends;
    this.ends.idleAfter = this.ends;
    this.onChange = onChange;
  }

  /** Adds one that is in no list. */
  add(connection: Retirable): void {
    const last = this.ends.idleBefore!;
    connection.idleBefore = last;
    connection.idleAfter = this.ends;
    last.idleAfter = connection;
    this.ends.idleBefore = connection;
    this.count++;
    this.onChange(this);
  }

  /** Takes it out. Harmless where it is not in. */
  delete(connection: Retirable): void {
    const { idleBefore, idleAfter } = connection;
    if (idleBefore === null || idleAfter === null) return;
    idleBefore.idleAfter = idleAfter;
    idleAfter.idleBefore = idleBefore;
    connection.idleBefore = null;
    connection.idleAfter = null;
    this.count--;
    this.onChange(this);
  }

  get size(): number {
    return this.count;
  }

  /** Closes the one that has waited longest. False: there is none. */
  closeLongest(): boolean {
    const longest = this.ends.idleAfter!;
    if (longest === this.ends) return false;
    this.delete(longest);
    longest.retire();
    return true;
  }
}
