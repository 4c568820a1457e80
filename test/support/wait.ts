const POLL_MS = 1;

/** Resolves when the condition holds. Throws after `limitMs` in vain, saying what was waited for. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 10_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`waited ${limitMs} ms in vain for: ${what}`);
    await Bun.sleep(POLL_MS);
  }
}

/** What a promise is rejected with. The SDKs' promises do their work in `then`, so `expect().rejects` misjudges them. */
export async function errorOf(promise: PromiseLike<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`no error, but ${String(value)}`);
    },
    (error: unknown) => error,
  );
}
