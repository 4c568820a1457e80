import { Deadline, deadlineQueue } from "../../shared/deadlines.ts";
import { ipVersion } from "../../shared/ip-address.ts";

/** How long the addresses of a name are used before it is looked up again. */
const FRESH_MS = 30_000;
/** The same when none of them could be connected to: the host may have moved. */
const DOUBTED_MS = 1000;
/** A lookup that takes longer is not waited for where the name was known before: name servers that are down are slow. */
const PATIENCE_MS = 500;
/** Of a name with more addresses the rest is left out: no connect limit is long enough for them. */
const ADDRESSES_MAX = 16;

type Waiter = (addresses: readonly string[]) => void;

/** Looks a name up: all its addresses, or the code of what went wrong. Calls back later, not at once. */
export type Resolver = (
  hostname: string,
  onResult: (found: readonly string[] | { code: string }) => void,
) => void;

/**
 * The resolver of the system, as it knows /etc/hosts and whatever else this machine asks for names. Its module is
 * loaded with the first name: it takes megabytes in every worker.
 */
const systemResolver: Resolver = (hostname, onResult) => {
  const { lookup } = process.getBuiltinModule("node:dns");
  lookup(hostname, { all: true, order: "verbatim" }, (error, found) =>
    onResult(error === null ? found.map(({ address }) => address) : { code: error.code ?? "" }),
  );
};

/** The addresses of one host, in the order in which to try them. */
export class HostAddresses {
  private readonly hostname: string;
  private readonly resolve: Resolver;
  private readonly freshMs: number;
  private addresses: string[];
  private expiresMs: number;
  /** When they expire if they are doubted. */
  private doubtedExpiresMs = Number.POSITIVE_INFINITY;
  private isLookingUp = false;
  /** Who waits for the lookup that is under way. */
  private waiters: Waiter[] = [];
  private readonly patience = new Deadline(() => {
    // The old addresses will do until it is over, or until they are doubted.
    this.expiresMs = Number.POSITIVE_INFINITY;
    this.answer();
  });

  /** `hostname`: a name, or an IPv4 or IPv6 address without brackets. */
  constructor(hostname: string, resolve: Resolver = systemResolver, freshMs = FRESH_MS) {
    this.hostname = hostname;
    this.resolve = resolve;
    this.freshMs = freshMs;
    const isAddress = ipVersion(hostname) !== 0;
    this.addresses = isAddress ? [hostname] : [];
    this.expiresMs = isAddress ? Number.POSITIVE_INFINITY : 0;
  }

  /** Calls back with the addresses, at once where they are known; with none when the name cannot be resolved. */
  get(onAddresses: Waiter): void {
    if (performance.now() < this.expiresMs) {
      onAddresses(this.addresses);
      return;
    }
    this.waiters.push(onAddresses);
    if (!this.isLookingUp) this.lookUp();
  }

  /** The address did not answer while another one did, or refused: until the next lookup it comes last. */
  demote(address: string): void {
    const at = this.addresses.indexOf(address);
    // A new array: somebody may be going through the old one.
    if (at >= 0 && at < this.addresses.length - 1) {
      this.addresses = [...this.addresses.filter((other) => other !== address), address];
    }
  }

  /** None could be connected to: the name is looked up again soon, though not for every request that fails. */
  doubt(): void {
    this.expiresMs = Math.min(this.expiresMs, this.doubtedExpiresMs);
  }

  private lookUp(): void {
    this.isLookingUp = true;
    if (this.addresses.length > 0) this.patience.arm(deadlineQueue(PATIENCE_MS));
    this.resolve(this.hostname, (found) => {
      this.isLookingUp = false;
      this.patience.cancel();
      this.learn(found);
      this.answer();
    });
  }

  private answer(): void {
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) waiter(this.addresses);
  }

  private learn(found: readonly string[] | { code: string }): void {
    if (!("code" in found)) this.addresses = interleave(found).slice(0, ADDRESSES_MAX);
    else if (found.code === "ENOTFOUND") this.addresses = [];
    // A resolver that is down for a moment does not make a host unknown that was known before. But what is
    // unknown is asked for again each time.
    const now = performance.now();
    this.expiresMs = this.addresses.length === 0 ? 0 : now + this.freshMs;
    this.doubtedExpiresMs = now + DOUBTED_MS;
  }
}

/**
 * Alternates between IPv6 and IPv4, beginning with the kind that the resolver put first, so that a network that
 * is broken for one kind costs one step. https://www.rfc-editor.org/rfc/rfc8305#section-4
 */
export function interleave(addresses: readonly string[]): string[] {
  const kind = ipVersion(addresses[0] ?? "");
  const same = addresses.filter((address) => ipVersion(address) === kind);
  const other = addresses.filter((address) => ipVersion(address) !== kind);
  const mixed: string[] = [];
  for (let i = 0; i < Math.max(same.length, other.length); i++)
    mixed.push(...same.slice(i, i + 1), ...other.slice(i, i + 1));
  return mixed;
}
