/** Gathers what a process writes, and lets a test wait for a part of it. */
export class LineLog {
  /** Whole lines, so that a condition never sees half of one. */
  text = "";
  private ended = false;
  private waiting: (() => void)[] = [];

  constructor(stream: ReadableStream<Uint8Array>) {
    void this.read(stream);
  }

  /** Resolves when the condition holds. Rejects when the stream ends before. */
  async until(condition: (text: string) => boolean): Promise<void> {
    while (!condition(this.text)) {
      if (this.ended) throw new Error(`the process ended; it had written:\n${this.text}`);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  private async read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of stream) {
      rest += decoder.decode(chunk, { stream: true });
      const end = rest.lastIndexOf("\n") + 1;
      this.text += rest.slice(0, end);
      rest = rest.slice(end);
      this.wake();
    }
    this.text += rest;
    this.ended = true;
    this.wake();
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resume of waiting) resume();
  }
}
