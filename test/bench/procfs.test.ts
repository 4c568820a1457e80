import { describe, expect, test } from "bun:test";

import {
  coresOf,
  memoryOf,
  parseRollup,
  parseStat,
  sharesBetween,
  treeOf,
  usageOf,
} from "../../scripts/bench/procfs.ts";
import { eventually } from "../support/wait.ts";

// proc_pid_stat(5): the 14th and the 15th field are user and system time.
const STAT = "4711 (HTTP Client) S 42 4711 4711 0 -1 4194368 77 0 0 0 301 99 0 0 20 0 9 0 1234 5678 90 18446";

describe("a stat file", () => {
  test("gives name, parent and ticks", () => {
    expect(parseStat(STAT)).toEqual({ name: "HTTP Client", parent: 42, ticks: 400 });
  });

  test("may hold parentheses and spaces in the name", () => {
    expect(parseStat(STAT.replace("HTTP Client", "a) S 1 (b"))?.name).toBe("a) S 1 (b");
    expect(parseStat(STAT.replace("HTTP Client", "a) S 1 (b"))?.parent).toBe(42);
  });

  test("of a process that has gone gives nothing", () => {
    expect(parseStat("")).toBeNull();
  });
});

test("a rollup gives bytes", () => {
  const text = "00400000-7fff [rollup]\nRss:      2048 kB\nPss:      1024 kB\nPss_Dirty:  12 kB\n";
  expect(parseRollup(text)).toEqual({ rss: 2 * 2 ** 20, pss: 2 ** 20 });
  expect(parseRollup("")).toEqual({ rss: 0, pss: 0 });
});

test("shares are parts of a core, the busiest thread first, a new thread included", () => {
  const before = { atMs: 1_000, threads: [{ id: "1/1", name: "main", ns: 500e6 }] };
  const after = {
    atMs: 3_000,
    threads: [
      { id: "1/1", name: "main", ns: 700e6 },
      { id: "1/2", name: "Worker", ns: 1_000e6 },
    ],
  };
  const shares = sharesBetween(before, after);
  expect(shares).toEqual([
    { name: "Worker", cores: 0.5 },
    { name: "main", cores: 0.1 },
  ]);
  expect(coresOf(shares)).toBeCloseTo(0.6);
});

describe.skipIf(process.platform !== "linux")("a real process tree", () => {
  test("is found with its children, and its work and memory are seen", async () => {
    // The shell waits for a child that is busy until it is ended.
    const shell = Bun.spawn(["/bin/sh", "-c", "(while :; do :; done) & echo $!; wait"], { stdout: "pipe" });
    const { value } = await shell.stdout.getReader().read();
    const child = Number(new TextDecoder().decode(value));
    try {
      expect(treeOf(shell.pid).sort()).toEqual([shell.pid, child].sort());
      const before = usageOf(shell.pid);
      let after = before;
      await eventually("30 ms of work", () => {
        after = usageOf(shell.pid);
        return coresOf(sharesBetween(before, after)) * (after.atMs - before.atMs) >= 30;
      });
      // All of it by the child; the shell itself only waits. Both have one name, and are told apart.
      const [busiest, other] = sharesBetween(before, after);
      expect(busiest!.cores * (after.atMs - before.atMs)).toBeGreaterThan(25);
      expect(busiest!.name).not.toBe(other!.name);
      expect(memoryOf(shell.pid).rssBytes).toBeGreaterThan(memoryOf(child).rssBytes);
    } finally {
      process.kill(child, "SIGKILL");
      await shell.exited;
    }
  });
});
