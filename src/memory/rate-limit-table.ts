import { keyedHash } from "./keyed-hash.ts";
import { Locks } from "./locks.ts";
import { Region } from "./region.ts";

/** How many slots a client's entry may be in. */
const WAYS = 16;
/** Int32 words of a slot: two of key, and two that are one 64-bit moment. */
const SLOT_WORDS = 4;
/** Units of time per second at least. */
const UNITS_PER_SECOND_MIN = 10_000_000;
/** Stands in a slot for the moment that its key is being written. */
const CLAIMED = 2n ** 63n;
/** A clock may be ahead of another one, but not by this much. */
const CLOCK_SKEW_MS_MAX = 10_000;

/** There was no room for a client that was not known yet; its request is not limited. */
export const UNTRACKED = Number.POSITIVE_INFINITY;

/** A client, in 64 bits, not all zero. */
export interface ClientKey {
  readonly high: number;
  readonly low: number;
}

/** The memory of a table, as threads hand it to each other. */
export interface RateLimitMemory {
  readonly buffer: SharedArrayBuffer;
  /** How many clients it is made for. */
  readonly clients: number;
}

/**
 * A rate in requests per second (1-10,000), and how many may come at once. In units of time of the table: up to twice
 * as many in a second as there must be, so that an interval and a millisecond are whole numbers of them.
 */
export class RateLimitRule {
  readonly unitsPerMs: number;
  /** Units between two requests at the sustained rate. */
  readonly interval: number;
  /** How far ahead of now the theoretical arrival may be for a request to be admitted. */
  readonly tolerance: number;
  /** Further ahead than this it is not of this rule, but left over from another one. */
  readonly aheadMax: number;

  constructor(perSecond: number, burst: number) {
    const step = 1000 / greatestCommonDivisor(perSecond, 1000);
    this.interval = step * Math.ceil(UNITS_PER_SECOND_MIN / perSecond / step);
    this.unitsPerMs = (this.interval * perSecond) / 1000;
    this.tolerance = (burst - 1) * this.interval;
    this.aheadMax = burst * this.interval + CLOCK_SKEW_MS_MAX * this.unitsPerMs;
  }
}

/**
 * Rate limits by client for all threads, by the generic cell rate algorithm: a client has one number, the
 * theoretical arrival time of its next request, and each request that is admitted moves it on by one interval from
 * where it was or from now, whichever is later. In any stretch of time a client gets at most burst + rate x time,
 * and no less if it asks for it. https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
 *
 * A client's entry is in one of 16 slots, which a keyed hash of its key names. A slot holds the whole key, so two
 * clients never share one, and the moment: 53 bits of units of 0.1 us or less since the supervisor started, good for
 * 14 years. A moment that has passed says nothing, so its slot is free for the next client.
 *
 * - A request of a known client reads the moment, then the key, and swaps the moment: one compare-and-swap.
 * - A new client's first request takes the lock of the 16 slots, so that two threads cannot both enter it, and
 *   claims a free slot by swapping its moment for a mark before it writes the key. A key therefore never
 *   changes under a moment that stands, and a swap that succeeds was about the client that it was meant for. Moments of
 *   a slot only grow, so a swap cannot mistake a later one for an earlier one.
 */
export class RateLimitTable {
  readonly #bucketMask: number;
  readonly #seed: Int32Array;
  readonly #locks: Locks;
  readonly #moments: BigUint64Array;
  /** The same memory as the moments. */
  readonly #words: Int32Array;

  /** `clients`: how many it is to hold; there are twice as many slots, so that hardly any bucket of 16 runs over. */
  constructor(region: Region, clients: number) {
    let buckets = 1;
    while (buckets * WAYS < 2 * clients) buckets *= 2;
    this.#bucketMask = buckets - 1;
    this.#seed = region.int32(2);
    this.#locks = new Locks(region, buckets);
    this.#moments = region.uint64((buckets * WAYS * SLOT_WORDS) / 2);
    this.#words = new Int32Array(this.#moments.buffer, this.#moments.byteOffset, this.#moments.length * 2);
  }

  /** Memory for a table of its own, with a key for its hash; `random` gives 32 random bits. */
  static allocate(clients: number, random: () => number): RateLimitMemory {
    const bytes = Region.measure((region) => new RateLimitTable(region, clients));
    const memory = { buffer: new SharedArrayBuffer(bytes), clients };
    RateLimitTable.over(memory).seed(random(), random());
    return memory;
  }

  /** The table of one thread over that memory. */
  static over({ buffer, clients }: RateLimitMemory): RateLimitTable {
    return new RateLimitTable(new Region(buffer), clients);
  }

  /** Sets the key of the hash, two random words, before the table is used. */
  seed(word0: number, word1: number): void {
    Atomics.store(this.#seed, 0, word0);
    Atomics.store(this.#seed, 1, word1);
  }

  /**
   * Decides one request, and counts it if it is admitted. Gives 0 when it is, `UNTRACKED` when it is let through
   * without being counted, and else the milliseconds after which a request will be admitted, below zero.
   */
  decide(worker: number, client: ClientKey, rule: RateLimitRule, nowMs: number): number {
    const exact = Math.max(nowMs, 0) * rule.unitsPerMs;
    const now = Math.floor(exact);
    const { high, low } = client;
    const bucket = keyedHash(this.#seed[0]!, this.#seed[1]!, high, low) & this.#bucketMask;
    const first = bucket * WAYS;
    // Each further turn means that another thread has changed the slot: there is progress.
    for (;;) {
      const slot = this.#find(first, high, low);
      const cell = 2 * slot + 1;
      const word = slot < 0 ? CLAIMED : Atomics.load(this.#moments, cell);
      if (word === CLAIMED) {
        const entered = this.#enter(worker, bucket, high, low, rule, exact);
        if (entered === null) continue;
        return entered;
      }
      if (!this.#isKey(slot, high, low)) continue;
      const start = this.#start(Number(word), rule, now);
      const wait = start - now - rule.tolerance;
      if (wait > 0) return -wait / rule.unitsPerMs;
      // A part of a unit counts as a whole one, so that nobody ever gets more than is due.
      const next = BigInt((start === now ? Math.ceil(exact) : start) + rule.interval);
      if (Atomics.compareExchange(this.#moments, cell, word, next) === word) return 0;
    }
  }

  /** Repairs what a worker that has ended was in the middle of. */
  giveBackAll(worker: number): void {
    this.#locks.giveBackAll(worker, (bucket) => {
      for (let slot = bucket * WAYS; slot < (bucket + 1) * WAYS; slot++) {
        if (Atomics.load(this.#moments, 2 * slot + 1) !== CLAIMED) continue;
        this.#setKey(slot, 0, 0);
        Atomics.store(this.#moments, 2 * slot + 1, 0n);
      }
    });
  }

  /** Forgets all clients. */
  clear(): void {
    for (let cell = 1; cell < this.#moments.length; cell += 2) Atomics.store(this.#moments, cell, 0n);
  }

  /** How many clients have an entry that still counts. Looks at every slot. */
  live(rule: RateLimitRule, nowMs: number): number {
    const now = Math.floor(Math.max(nowMs, 0) * rule.unitsPerMs);
    let count = 0;
    for (let cell = 1; cell < this.#moments.length; cell += 2) {
      if (this.#start(Number(Atomics.load(this.#moments, cell)), rule, now) > now) count++;
    }
    return count;
  }

  /** Where the next interval begins: at the moment that stands, or now if that has passed or is none of this rule's. */
  #start(moment: number, rule: RateLimitRule, now: number): number {
    return moment <= now || moment > now + rule.aheadMax ? now : moment;
  }

  /**
   * Enters a client and admits its first request. Gives null when it is there already, as another thread was
   * faster, or `UNTRACKED` when no slot is free.
   */
  #enter(
    worker: number,
    bucket: number,
    high: number,
    low: number,
    rule: RateLimitRule,
    exact: number,
  ): number | null {
    if (!this.#locks.acquire(worker, bucket)) return UNTRACKED;
    const first = bucket * WAYS;
    const now = Math.floor(exact);
    let result: number | null = UNTRACKED;
    if (this.#find(first, high, low) >= 0) result = null;
    for (let slot = first; result === UNTRACKED && slot < first + WAYS; slot++) {
      const cell = 2 * slot + 1;
      const word = Atomics.load(this.#moments, cell);
      const moment = Number(word);
      if (this.#start(moment, rule, now) > now) continue;
      // It fails if the slot's client has come back just now; so it is not free.
      if (Atomics.compareExchange(this.#moments, cell, word, CLAIMED) !== word) continue;
      this.#setKey(slot, high, low);
      Atomics.store(this.#moments, cell, BigInt(Math.ceil(exact) + rule.interval));
      result = 0;
    }
    this.#locks.release(bucket);
    return result;
  }

  /** The slot with this key, or -1. */
  #find(first: number, high: number, low: number): number {
    for (let slot = first; slot < first + WAYS; slot++) {
      if (this.#isKey(slot, high, low)) return slot;
    }
    return -1;
  }

  #isKey(slot: number, high: number, low: number): boolean {
    const word = slot * SLOT_WORDS;
    return Atomics.load(this.#words, word) === low && Atomics.load(this.#words, word + 1) === high;
  }

  #setKey(slot: number, high: number, low: number): void {
    const word = slot * SLOT_WORDS;
    Atomics.store(this.#words, word, low);
    Atomics.store(this.#words, word + 1, high);
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
