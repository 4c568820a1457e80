/** Calls back at every SIGUSR1, by which log rotation asks for files to be opened anew. It would end the process otherwise. */
export function onReopen(reopen: () => void): void {
  process.on("SIGUSR1", reopen);
}

/** Settles at the next SIGTERM or SIGINT, with its name. */
export function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
}

/** Calls back at every SIGHUP, which would end the process otherwise. */
export function onHangUp(hangUp: () => void): void {
  process.on("SIGHUP", hangUp);
}
