interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Virtual time: what is due happens in order, and nothing takes time in between. A binary heap. */
export class EventQueue {
  nowMs = 0;
  readonly #heap: Event[] = [];
  #order = 0;

  after(ms: number, run: () => void): void {
    const heap = this.#heap;
    let at = heap.push({ atMs: this.nowMs + ms, order: this.#order++, run }) - 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!earlier(heap[at]!, heap[parent]!)) return;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  runUntil(endMs: number): void {
    while (this.#heap.length > 0 && this.#heap[0]!.atMs <= endMs) {
      const event = this.#pop();
      this.nowMs = event.atMs;
      event.run();
    }
    this.nowMs = endMs;
  }

  #pop(): Event {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && earlier(heap[child]!, heap[least]!)) least = child;
      }
      if (least === at) return first;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}

function earlier(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
