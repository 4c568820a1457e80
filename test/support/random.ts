/** What `FUZZ_SEED` of the environment says, or another number each time. */
export function seedOfRun(): number {
  const given = Number(process.env["FUZZ_SEED"]);
  return given > 0 ? given : 1 + Math.floor(Math.random() * 0x7fff_fffe);
}

/**
 * Numbers and bytes from a seed (mulberry32), so that what failed once can be run again: with the variable
 * `FUZZ_SEED` of the environment.
 */
export class Random {
  readonly seed: number;
  private state: number;

  constructor(seed = seedOfRun()) {
    this.seed = seed;
    this.state = seed >>> 0;
  }

  /** An integer from 0 to below `limit`. */
  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  /** One of the list. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at++) bytes[at] = this.below(256);
    return bytes;
  }

  /** Runs a test; what it throws is told with the seed. */
  async run(test: () => Promise<void>): Promise<void> {
    try {
      await test();
    } catch (error) {
      throw new Error(`failed with FUZZ_SEED=${this.seed}`, { cause: error });
    }
  }
}
