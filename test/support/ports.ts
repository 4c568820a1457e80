/** Below the ports that Linux gives to those who ask for any, so that nobody gets one of these by chance. */
const FIRST = 12_000;
const COUNT = 20_000;

const given = new Set<number>();

/** A port of the loopback address that nothing listens on; no other caller in this process gets it. */
export function unusedPort(): number {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port)) continue;
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
    } catch {
      continue;
    }
    given.add(port);
    return port;
  }
}
