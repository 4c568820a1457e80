import { readFileSync } from "node:fs";

/**
 * Variables that steer Bun itself rather than us: options and debuggers of its command line, printing of
 * every request with its keys, switching off the check of certificates.
 */
const DROPPED = [
  "BUN_OPTIONS",
  "BUN_CONFIG_VERBOSE_FETCH",
  "BUN_INSPECT",
  "BUN_INSPECT_CONNECT_TO",
  "BUN_INSPECT_NOTIFY",
  "NODE_OPTIONS",
  "NODE_TLS_REJECT_UNAUTHORIZED",
];
const FETCH_LIMIT = "BUN_CONFIG_MAX_HTTP_REQUESTS";
/**
 * How often, in ms, the allocator looks in the memory of a thread that waits for pages that it can give back to the
 * system; the thread waits for that when it wakes, and then for the pages. By default ten times a second.
 */
const ALLOCATOR = { MIMALLOC_PURGE_HOLES_MIN_INTERVAL: "5000" };
/** Asked for when the process starts: once a newer file has taken its place the system calls it `... (deleted)`. */
const executable = process.execPath;

/**
 * Replaces the process by itself, once, with the environment that it needs. Bun reads these only when a process starts:
 * its limit of requests under way (256 for the whole process, the rest waits silently) and the settings of its
 * allocator. The pid stays. Does nothing where the environment is right already, and for a command line that only asks
 * for a text or for health.
 */
export function restartCleanly(): void {
  if (process.argv[2] === "health") return;
  if (process.argv.slice(2).some((arg) => ["-h", "--help", "-V", "--version"].includes(arg))) return;
  const needed = { [FETCH_LIMIT]: String(fetchLimit()), ...ALLOCATOR };
  const isThere = Object.entries(needed).every(([name, value]) => process.env[name] === value);
  if (isThere && DROPPED.every((name) => process.env[name] === undefined)) return;
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...process.env, ...needed })) {
    if (value !== undefined && !DROPPED.includes(name)) env[name] = value;
  }
  process.execve?.(executable, commandLine(), env);
}

/** The executable and its arguments, to run it again. A compiled one has its entry built in; from source that is an argument. */
export function commandLine(): string[] {
  const isCompiled = Bun.main.startsWith("/$bunfs/");
  if (isCompiled) return [executable, ...process.argv.slice(2)];
  return [executable, ...process.execArgv, ...process.argv.slice(1)];
}

/** Half of the files that the process may open, as each request under way holds two; at most what Bun allows. */
function fetchLimit(): number {
  return Math.min(65_535, Math.max(256, Math.floor(openFilesMax() / 2)));
}

/**
 * Files for everything but clients and upstreams: pipes, listeners, the admin port, what `fetch` keeps, second
 * connections that are tried beside a slow first one, and the event loop of each worker.
 */
const FILES_RESERVED = 128;
const FILES_PER_WORKER = 8;
/** Where that leaves next to nothing, connections get this share all the same. */
const CONNECTIONS_SHARE_MIN = 0.25;

/**
 * Connections to clients and upstreams for which there are files. Without any left the event loop would spin on a
 * client that it cannot accept, and no upstream could be reached.
 */
export function connectionsMax(workers: number): number {
  const files = openFilesMax();
  const least = Math.floor(files * CONNECTIONS_SHARE_MIN);
  return Math.max(least, files - FILES_RESERVED - FILES_PER_WORKER * workers);
}

function openFilesMax(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "latin1");
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
    return soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft ?? 1024);
  } catch {
    // macOS has no /proc; Bun raises the soft limit to this there.
    return 10_240;
  }
}
