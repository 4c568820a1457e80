/** What one request has met in its group so far. Made for each request and passed to each of its `acquire` calls. */
export class Trail {
  #tried: number[] | null = null;
  #rejected: number[] | null = null;

  /** True when the request was sent to this upstream already. */
  tried(upstream: number): boolean {
    return this.#tried !== null && this.#tried.includes(upstream);
  }

  /** Notes that the request goes to this upstream now. */
  try(upstream: number): void {
    if (this.#tried === null) this.#tried = [upstream];
    else this.#tried.push(upstream);
  }

  /** After a back-off every upstream may be tried again. */
  forgetTried(): void {
    this.#tried = null;
  }

  /** Notes that the upstream's breaker turned the request down. True for the first time. */
  reject(upstream: number): boolean {
    if (this.#rejected !== null && this.#rejected.includes(upstream)) return false;
    (this.#rejected ??= []).push(upstream);
    return true;
  }
}
