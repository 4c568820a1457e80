import { readdirSync, readFileSync } from "node:fs";

/** CPU time of one thread so far, in ns. `name`: unique in its tree and the same in every run. */
interface ThreadTime {
  readonly id: string;
  readonly name: string;
  readonly ns: number;
}

/** CPU times of all threads of some processes, and when they were read (ms, this thread's clock). */
export interface Usage {
  readonly atMs: number;
  readonly threads: readonly ThreadTime[];
}

/** One thread's part of a core between two readings: 1 = it never slept. */
export interface ThreadShare {
  readonly name: string;
  readonly cores: number;
}

export interface Memory {
  /** Pages shared by several processes count in parts (PSS). */
  readonly pssBytes: number;
  /** Pages shared by several processes count in each of them. */
  readonly rssBytes: number;
}

/** What a `stat` file of /proc says (proc_pid_stat(5)); times in clock ticks. */
export interface Stat {
  readonly name: string;
  readonly parent: number;
  readonly ticks: number;
}

/** The name stands in parentheses and may hold any character, parentheses and spaces too. */
export function parseStat(text: string): Stat | null {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 0 || close < open) return null;
  const fields = text.slice(close + 2).split(" ");
  const [parent, user, system] = [fields[1], fields[11], fields[12]].map(Number);
  if (parent === undefined || user === undefined || system === undefined) return null;
  return { name: text.slice(open + 1, close), parent, ticks: user + system };
}

/** The process and all its descendants. */
export function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = parseStat(read(`/proc/${entry}/stat`));
    if (stat === null) continue;
    const siblings = children.get(stat.parent);
    if (siblings === undefined) children.set(stat.parent, [Number(entry)]);
    else siblings.push(Number(entry));
  }
  const tree = [root];
  for (let i = 0; i < tree.length; i++) tree.push(...(children.get(tree[i]!) ?? []));
  return tree;
}

/** Reads the CPU times of all threads of a process and its descendants. */
export function usageOf(root: number): Usage {
  const threads = treeOf(root)
    .sort((a, b) => a - b)
    .flatMap(threadsOf);
  return { atMs: performance.now(), threads: numbered(threads) };
}

function threadsOf(pid: number): ThreadTime[] {
  const found: ThreadTime[] = [];
  for (const tid of list(`/proc/${pid}/task`).sort((a, b) => Number(a) - Number(b))) {
    const stat = parseStat(read(`/proc/${pid}/task/${tid}/stat`));
    if (stat === null) continue;
    // The same time, counted in ns instead of ticks of 10 ms; not every kernel has it.
    const exact = Number(read(`/proc/${pid}/task/${tid}/schedstat`).split(" ")[0]);
    const ns = exact > 0 ? exact : (stat.ticks * 1e9) / ticksPerSecond();
    found.push({ id: `${pid}/${tid}`, name: stat.name, ns });
  }
  return found;
}

/** Where several threads have one name, they get numbers in the order in which they were made. */
function numbered(threads: readonly ThreadTime[]): ThreadTime[] {
  const totals = new Map<string, number>();
  for (const { name } of threads) totals.set(name, (totals.get(name) ?? 0) + 1);
  const seen = new Map<string, number>();
  return threads.map((thread) => {
    if (totals.get(thread.name) === 1) return thread;
    const number = (seen.get(thread.name) ?? 0) + 1;
    seen.set(thread.name, number);
    return { ...thread, name: `${thread.name} ${number}` };
  });
}

/** Shares of a core between two readings of the same tree, largest first. A thread that began meanwhile counts. */
export function sharesBetween(before: Usage, after: Usage): ThreadShare[] {
  const elapsedNs = (after.atMs - before.atMs) * 1e6;
  const earlier = new Map(before.threads.map((thread) => [thread.id, thread.ns]));
  return after.threads
    .map(({ id, name, ns }) => ({ name, cores: (ns - (earlier.get(id) ?? 0)) / elapsedNs }))
    .sort((a, b) => b.cores - a.cores);
}

/** Cores that all the threads took together. */
export function coresOf(shares: readonly ThreadShare[]): number {
  return shares.reduce((sum, share) => sum + share.cores, 0);
}

/** Memory of a process and its descendants, now. */
export function memoryOf(root: number): Memory {
  let pssBytes = 0;
  let rssBytes = 0;
  for (const pid of treeOf(root)) {
    const { pss, rss } = parseRollup(read(`/proc/${pid}/smaps_rollup`));
    pssBytes += pss;
    rssBytes += rss;
  }
  return { pssBytes, rssBytes };
}

/** `Pss:` and `Rss:` of a smaps_rollup file, in bytes; 0 when there is none. */
export function parseRollup(text: string): { pss: number; rss: number } {
  const field = (name: string) =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
  return { pss: field("Pss"), rss: field("Rss") };
}

let ticks: number | null = null;

function ticksPerSecond(): number {
  ticks ??= Number(Bun.spawnSync(["getconf", "CLK_TCK"]).stdout.toString()) || 100;
  return ticks;
}

/** A thread or process may end between two reads: then it has nothing to say. */
function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
