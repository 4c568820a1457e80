import { ipVersion } from "../shared/ip-address.ts";

/** An address and port to listen on. */
export interface Listener {
  readonly address: string;
  readonly port: number;
}

/** What is taken of one port. */
interface Port<T> {
  readonly byAddress: Map<string, T>;
  /** The first taker of all, and of the IPv4 ones. */
  first: T | undefined;
  firstIPv4: T | undefined;
}

/**
 * Finds listeners that would take each other's connections. Port 0 never does: it becomes a free one.
 * `0.0.0.0` takes every IPv4 address of its port, and `::` every address: sockets bound to it serve IPv4 too.
 */
export class ListenerTable<T> {
  readonly #ports = new Map<number, Port<T>>();

  /** Enters a listener with a valid address; gives the earlier one that it overlaps, if any. */
  claim(listener: Listener, item: T): T | undefined {
    if (listener.port === 0) return undefined;
    const address = normalAddress(listener.address);
    const port = this.#ports.get(listener.port) ?? {
      byAddress: new Map(),
      first: undefined,
      firstIPv4: undefined,
    };
    this.#ports.set(listener.port, port);
    const other = port.byAddress.get(address) ?? port.byAddress.get("::") ?? overlapByFamily(address, port);
    if (!port.byAddress.has(address)) port.byAddress.set(address, item);
    port.first ??= item;
    if (ipVersion(address) === 4) port.firstIPv4 ??= item;
    return other;
  }
}

function overlapByFamily<T>(address: string, port: Port<T>): T | undefined {
  if (address === "::") return port.first;
  if (address === "0.0.0.0") return port.firstIPv4;
  return ipVersion(address) === 4 ? port.byAddress.get("0.0.0.0") : undefined;
}

/**
 * One spelling per address: IPv6 in its short form, IPv4-mapped IPv6 as IPv4. Takes a valid address.
 * https://www.rfc-editor.org/rfc/rfc5952
 */
function normalAddress(address: string): string {
  if (ipVersion(address) === 4) return address;
  const [plain = "", zone] = address.split("%", 2);
  const short = new URL(`http://[${plain}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short);
  if (mapped !== null) {
    const high = Number.parseInt(mapped[1]!, 16);
    const low = Number.parseInt(mapped[2]!, 16);
    return [high >> 8, high & 255, low >> 8, low & 255].join(".");
  }
  return zone === undefined ? short : `${short}%${zone}`;
}
