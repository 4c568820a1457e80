import type { ClientPlan, GroupPlan } from "../../config/plan.ts";
import { openTransport } from "./choose.ts";
import type { Transport } from "./transport.ts";
import type { SocketRoom } from "./upstream-pool.ts";

/**
 * The transports of one worker, by group and settings: a group whose settings stay the same in the next configuration
 * keeps its connections.
 */
export class Transports {
  private readonly open = new Map<string, Transport>();
  private readonly sockets: SocketRoom;

  /** `sockets`: of this worker. */
  constructor(sockets: SocketRoom) {
    this.sockets = sockets;
  }

  of({ id, client }: GroupPlan): Transport {
    const key = keyOf(id, client);
    let transport = this.open.get(key);
    if (transport === undefined) this.open.set(key, (transport = openTransport(client, this.sockets)));
    return transport;
  }

  /** Lets go of those that none of these groups uses. */
  keepOnly(groups: readonly GroupPlan[]): void {
    const used = new Set(groups.map(({ id, client }) => keyOf(id, client)));
    for (const [key, transport] of this.open) {
      if (used.has(key)) continue;
      this.open.delete(key);
      transport.close();
    }
  }
}

function keyOf(group: number, client: ClientPlan): string {
  return `${group} ${JSON.stringify(client)}`;
}
