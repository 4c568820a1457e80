// The load tools against each other and against servers with known faults.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";

import type { LoadResult } from "../../scripts/bench/sample.ts";
import { Tool } from "../../scripts/bench/tool.ts";
import { Workshop } from "../../scripts/bench/workshop.ts";
import { eventually } from "../support/wait.ts";

const LIMIT_MS = 10_000;
const hasCompiler = process.platform === "linux" && ["cc", "gcc", "clang"].some((name) => Bun.which(name));

describe.skipIf(!hasCompiler)("the load tools", () => {
  let workshop: Workshop;
  const started: Tool[] = [];
  const servers: { stop(closeActive: true): unknown }[] = [];
  let tools = "";

  beforeAll(async () => {
    workshop = new Workshop();
    tools = await workshop.tools();
  });
  afterEach(async () => {
    for (const tool of started.splice(0).reverse()) await tool.stop();
    for (const server of servers.splice(0)) server.stop(true);
  });
  afterAll(() => workshop.close());

  function begin(name: string, ...args: (string | number)[]): Tool {
    const tool = new Tool(name, [join(tools, name), ...args.map(String)]);
    started.push(tool);
    return tool;
  }

  async function upstream(...args: (string | number)[]): Promise<number> {
    return Number((await begin("upstream", ...args).json(LIMIT_MS))["port"]);
  }

  /** An upstream that treats each connection as `data` says. */
  function faulty(data: (socket: { write(text: string): number; end(): void }) => void): number {
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data } });
    servers.push(server);
    return server.port;
  }

  async function result(load: Tool): Promise<LoadResult> {
    load.tell("go");
    expect(await load.line(LIMIT_MS)).toBe("begin");
    return (await load.json(LIMIT_MS)) as unknown as LoadResult;
  }

  /** Four connections, bodies of 256 bytes, measured for 200 ms. */
  function load(mode: string, port: number, key: string, ...more: number[]): Tool {
    return begin("load", mode, port, key, 4, 256, 200, ...more);
  }

  test("count the answers of a closed loop, and none of them is wrong", async () => {
    const counted = await result(load("closed", await upstream("json"), "upstream-key"));
    expect(counted.answers).toBeGreaterThan(0);
    expect(counted.latency.count).toBe(counted.answers);
    expect(counted).toMatchObject({ failures: 0, not_200: 0, incomplete: 0, stalled: 0 });
  });

  test("send large bodies whole", async () => {
    const port = await upstream("json");
    const large = begin("load", "closed", port, "upstream-key", 2, 3_000_000, 500);
    const counted = await result(large);
    expect(counted.answers).toBeGreaterThan(0);
    expect(counted).toMatchObject({ failures: 0, not_200: 0 });
  });

  test("keep to the rate of an open loop", async () => {
    const counted = await result(load("open", await upstream("json"), "upstream-key", 1_000));
    // 1,000/s for 200 ms, or longer where the machine is busy; none is left out.
    expect(counted.latency.count).toBeGreaterThan((counted.elapsed / 1e6) * 0.5);
    expect(counted).toMatchObject({ failures: 0, not_200: 0 });
  });

  test("count the wait of requests that a server never answers", async () => {
    const silent = faulty(() => {});
    const counted = await result(load("open", silent, "upstream-key", 1_000));
    expect(counted.answers).toBe(0);
    // Those that found no connection free wait as well, from when they were due.
    expect(counted.latency.count).toBeGreaterThan(4);
    expect(counted.latency.p50).toBeGreaterThan(1e6);
  });

  test("read streams to their end, and tell how long events were under way", async () => {
    const port = await upstream("sse", 5, 2_000, 1_000, 40);
    const counted = await result(load("streams", port, "upstream-key", 10, 5_000));
    expect(counted.tokens).toBeGreaterThan(0);
    expect(counted.lag.count).toBe(counted.tokens);
    expect(counted.first.count).toBeGreaterThan(0);
    expect(counted.lag.p50).toBeGreaterThan(0);
    expect(counted).toMatchObject({ failures: 0, not_200: 0, incomplete: 0, stalled: 0 });
  });

  test("ask for shorter streams", async () => {
    const port = await upstream("sse", 100_000, 1_000, 1_000, 40);
    const counted = await result(load("streams", port, "upstream-key", 10, 5_000, 3));
    expect(counted.answers).toBeGreaterThan(0);
    // Three of each, but for those that had begun before the measuring, or had not ended after it.
    expect(Math.abs(counted.tokens - 3 * counted.answers)).toBeLessThanOrEqual(4 * 3);
    expect(counted).toMatchObject({ failures: 0, not_200: 0, incomplete: 0 });
  });

  test("see that credentials were not replaced", async () => {
    const counted = await result(load("closed", await upstream("json"), "client-key"));
    expect(counted.not_200).toBeGreaterThan(0);
  });

  test("see streams that end without their last event, break off, or say nothing", async () => {
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const short = faulty((socket) => void socket.write(`${head}9\r\ndata: {}\n\r\n0\r\n\r\n`));
    expect((await result(load("streams", short, "", 10, 5_000))).incomplete).toBeGreaterThan(0);
    const broken = faulty((socket) => {
      socket.write(`${head}9\r\ndata: {}\n`);
      // Not at once: the load gives up when very many connections break.
      setTimeout(() => socket.end(), 5);
    });
    expect((await result(load("streams", broken, "", 10, 5_000))).failures).toBeGreaterThan(0);
    const silent = faulty((socket) => void socket.write(head));
    expect((await result(load("streams", silent, "", 10, 10))).stalled).toBe(4);
  });

  test("give up on a server that breaks every connection", async () => {
    const gone = load(
      "closed",
      faulty((socket) => socket.end()),
      "",
      1_000_000,
    );
    await expect(gone.line(LIMIT_MS)).rejects.toThrow("too many connections broke");
  });

  test("start a server, tell when it answers, and take it down with its children", async () => {
    const port = faulty((socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    // A server that does not heed SIGTERM, with a child of its own.
    const launch = begin("launch", port, 5_000, "/bin/sh", "-c", "trap '' TERM; sleep 1000 & wait; wait");
    const { pid } = await launch.json(LIMIT_MS);
    expect(await launch.json(LIMIT_MS)).toEqual({ first_answer: expect.any(Number) });
    expect(isAlive(-Number(pid))).toBe(true);
    await launch.stop();
    await eventually("the group to be gone", () => !isAlive(-Number(pid)));
  });

  test("tell that a server is late when it refuses what it is asked", async () => {
    const launch = begin("launch", await upstream("json"), 100, "/bin/sleep", "1000");
    await launch.json(LIMIT_MS);
    expect(await launch.json(LIMIT_MS)).toEqual({ late: expect.any(Number) });
  });

  test("tell that a server ended before it answered, and what it said", async () => {
    const launch = begin("launch", 1, 5_000, "/bin/sh", "-c", "echo no such thing; exit 7");
    await launch.json(LIMIT_MS);
    expect(await launch.json(LIMIT_MS)).toEqual({ exited: 7 });
    await eventually("its words", () => launch.failure("failed").message.includes("no such thing"));
  });

  test("end when nobody holds their stdin any more", async () => {
    const port = await upstream("json");
    const busy = load("closed", port, "upstream-key");
    await busy.stop();
    expect(isAlive(busy.pid)).toBe(false);
  });
});

/** Of a process, or of a whole group where the number is negative. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
