/** Calls back at every SIGUSR1, by which log rotation asks for files to be opened anew. It would end the process otherwise. */
export function onReopen(reopen: () => void): void {
  process.on("SIGUSR1", reopen);
}

/**
 * A terminal signals all that runs in it, and npm and timeout(1) pass on what they get: the same wish may come several
 * times. Within this time it is one.
 */
export const STOP_ECHO_MS = 500;

/** Settles at the first SIGTERM or SIGINT that comes at least so much later, with its name. No other does anything. */
export function stopSignal(afterMs = 0): Promise<string> {
  const fromMs = performance.now() + afterMs;
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      // Heard for good: without anybody who listens a further one would end the process by its default.
      process.on(signal, () => {
        if (performance.now() >= fromMs) resolve(signal);
      });
    }
  });
}

/** Calls back at every SIGHUP, by which the configuration is to be read again. It would end the process otherwise. */
export function onHangUp(hangUp: () => void): void {
  process.on("SIGHUP", hangUp);
}

/** Calls back at every SIGUSR2, by which a successor is to take over. It would end the process otherwise. */
export function onSucceed(succeed: () => void): void {
  process.on("SIGUSR2", succeed);
}
