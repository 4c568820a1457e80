import { type LoadResult, parseConfig } from "../config/load.ts";
import { demoBanner, demoConfig, startDemoUpstreams } from "../demo/demo.ts";

const FORWARD_PORT = 3000;
const ADMIN_PORT = 9000;
const ADDRESS = "127.0.0.1";

/** A demonstration under way: scripted upstreams, and the configuration that leads to them. */
export interface Demo {
  readonly loaded: LoadResult;
  /** What to print once all is listening. */
  banner(forwardPort: number, adminPort: number): string;
}

/** Starts the scripted upstreams. Takes the usual ports where they are free, else any free ones, and says so. */
export function startDemo(): Demo {
  const upstreams = startDemoUpstreams().map(({ name, url }) => ({ name, url }));
  const notes: string[] = [];
  const freeOr0 = (port: number) => {
    if (isFree(port)) return port;
    notes.push(`port ${port} is taken, so another one is used`);
    return 0;
  };
  const config = demoConfig(upstreams, freeOr0(FORWARD_PORT), freeOr0(ADMIN_PORT), ADDRESS);
  return {
    loaded: parseConfig(JSON.stringify(config), "demo", {}),
    banner: (forwardPort, adminPort) =>
      demoBanner({
        forwardUrl: `http://${ADDRESS}:${forwardPort}`,
        adminUrl: `http://${ADDRESS}:${adminPort}`,
        upstreams,
        notes,
      }),
  };
}

/** Asked without SO_REUSEPORT, so that another llmproxyd on the port counts too. */
function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: ADDRESS, port, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}
