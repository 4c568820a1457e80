/** How often the event loop is asked to turn. */
export const LAG_EVERY_MS = 250;
/** The worst is told for one to two of these, so that no scrape within it misses it. */
const WINDOW_MS = 15_000;

/**
 * Measures how late the event loop of this thread gets to what is due, and tells the worst of the last 15 to 30
 * seconds each time. Gives the way to stop it.
 */
export function watchLoop(tell: (lagMs: number) => void): () => void {
  let dueMs = performance.now() + LAG_EVERY_MS;
  let windowEndMs = performance.now() + WINDOW_MS;
  let worst = 0;
  let worstBefore = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    const lag = Math.max(0, now - dueMs);
    if (now >= windowEndMs) {
      worstBefore = worst;
      worst = 0;
      windowEndMs = now + WINDOW_MS;
    }
    worst = Math.max(worst, lag);
    dueMs = now + LAG_EVERY_MS;
    tell(Math.max(worst, worstBefore));
  }, LAG_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
