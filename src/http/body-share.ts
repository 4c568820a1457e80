import type { BodyBytes } from "./exchange.ts";

/** What one connection holds of the memory for request bodies. Let go of as a whole, when the answer is over. */
export class BodyShare implements BodyBytes {
  private readonly memory: BodyBytes;
  private bytes = 0;

  constructor(memory: BodyBytes) {
    this.memory = memory;
  }

  take(bytes: number): boolean {
    if (!this.memory.take(bytes)) return false;
    this.bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.bytes -= bytes;
    this.memory.giveBack(bytes);
  }

  release(): void {
    if (this.bytes > 0) this.giveBack(this.bytes);
  }
}
