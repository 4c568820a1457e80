/**
 * Numbers and bytes from a seed (xorshift32 of Marsaglia), so that what failed once can be run again: with the
 * variable `TEST_SEED` of the environment.
 */
export class Random {
  readonly seed: number;
  private state: number;

  constructor() {
    const given = Number(process.env["TEST_SEED"]);
    this.seed = given > 0 ? given : 1 + Math.floor(Math.random() * 0x7fff_fffe);
    this.state = this.seed;
  }

  /** An integer from 0 to below `limit`. */
  below(limit: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return (x >>> 0) % limit;
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
      throw new Error(`failed with TEST_SEED=${this.seed}`, { cause: error });
    }
  }
}
