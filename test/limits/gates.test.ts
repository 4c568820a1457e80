import { describe, expect, test } from "bun:test";

import { IdleConnections, type Retirable } from "../../src/http/idle-connections.ts";
import { ConnectionGate } from "../../src/limits/connection-gate.ts";
import { RequestGate } from "../../src/limits/request-gate.ts";
import { SocketBudget } from "../../src/limits/socket-budget.ts";
import { LimitsMemory } from "../../src/memory/limits-memory.ts";
import { inFreshMemory } from "../memory/setup.ts";

const NONE = new IdleConnections();

function retirable(retire: () => void): Retirable {
  return { idleBefore: null, idleAfter: null, retire };
}

/** Two workers and two forwards with these limits. */
function setUp(connectionsMax: number, requestsMax: number | null = null) {
  const memory = inFreshMemory((region) => new LimitsMemory(region, { workers: 2, forwards: 2 }));
  const sockets = [0, 1].map((worker) => new SocketBudget(memory, worker));
  const doors = [0, 1].map((worker) =>
    [0, 1].map((forward) => new ConnectionGate(memory, sockets[worker]!, worker, forward, connectionsMax)),
  );
  const requests = [0, 1].map(
    (worker) => new RequestGate(memory.requests, sockets[worker]!, worker, 0, requestsMax),
  );
  /** Connections of worker and forward that wait, and leave by their door when they are closed. */
  const waiting = (worker: number, forward: number, names: string, closed: string[]) => {
    const idle = new IdleConnections((changed) => doors[worker]![forward]!.waiting(changed));
    for (const name of names) {
      doors[worker]![forward]!.enter(idle);
      idle.add(
        retirable(() => {
          closed.push(name);
          doors[worker]![forward]!.leave();
        }),
      );
    }
    return idle;
  };
  return { memory, doors, requests, waiting };
}

describe("connections", () => {
  test("beyond the limit of a forward are told so, and far beyond it not even that", () => {
    const { doors } = setUp(3);
    const enter = (count: number) => Array.from({ length: count }, (_, i) => doors[i % 2]![0]!.enter(NONE));
    expect(enter(3)).toEqual(["serve", "serve", "serve"]);
    expect(new Set(enter(256))).toEqual(new Set(["refuse"] as const));
    expect(enter(2)).toEqual(["close", "close"]);
    expect(doors[0]![1]!.enter(NONE)).toBe("serve");
  });

  test("that close make room for others, wherever they were", () => {
    const { doors, memory } = setUp(1);
    const [one, other] = [doors[0]![0]!, doors[1]![0]!];
    expect([one.enter(NONE), other.enter(NONE)]).toEqual(["serve", "refuse"]);
    other.leave();
    one.leave();
    expect(other.enter(NONE)).toBe("serve");
    expect([memory.connections.read(0), memory.sockets.read(0)]).toEqual([1, 1]);
  });

  test("take the place of those that have waited longest", () => {
    const { doors, memory, waiting } = setUp(4);
    const closed: string[] = [];
    const idle = waiting(0, 0, "abc", closed);
    const enter = () => doors[0]![0]!.enter(idle);
    expect([enter(), closed.join("")]).toEqual(["serve", ""]);
    expect([enter(), closed.join("")]).toEqual(["serve", "a"]);
    expect([enter(), enter(), closed.join("")]).toEqual(["serve", "serve", "abc"]);
    expect([enter(), closed.join("")]).toEqual(["refuse", "abc"]);
    expect(memory.connections.read(0)).toBe(5);
  });

  test("take the place of those that wait in another worker, which closes as many as came", () => {
    const { doors, memory, waiting } = setUp(4);
    const closed: string[] = [];
    const [one, other] = [doors[0]![0]!, doors[1]![0]!];
    const idle = waiting(0, 0, "abc", closed);
    const enter = (count: number) => Array.from({ length: count }, () => other.enter(NONE));
    expect(enter(3)).toEqual(["serve", "serve", "serve"]);
    expect([closed.join(""), memory.connections.read(0)]).toEqual(["", 6]);
    // None of those that were let in is closed, though one of them still waits.
    const fresh = new IdleConnections((changed) => other.waiting(changed));
    const newcomer = retirable(() => closed.push("fresh"));
    fresh.add(newcomer);
    other.closeAsked();
    one.closeAsked();
    expect([closed.join(""), memory.connections.read(0)]).toEqual(["ab", 4]);
    fresh.delete(newcomer);
    expect(enter(2)).toEqual(["serve", "refuse"]);
    other.leave();
    one.closeAsked();
    one.closeAsked();
    expect([closed.join(""), idle.size, memory.connections.read(0)]).toEqual(["abc", 0, 4]);
    expect(enter(1)).toEqual(["refuse"]);
  });

  test("that wait in a worker that died make no room", () => {
    const { doors, memory, waiting } = setUp(2);
    waiting(0, 0, "ab", []);
    memory.giveBackWorker(0);
    const enter = () => doors[1]![0]!.enter(NONE);
    expect([enter(), enter(), enter()]).toEqual(["serve", "serve", "refuse"]);
  });

  test("beyond the limit are not served without end, however many wait elsewhere", () => {
    const { doors, waiting } = setUp(1000);
    waiting(0, 0, "x".repeat(1000), []);
    const entries = Array.from({ length: 300 }, () => doors[1]![0]!.enter(NONE));
    expect(entries.lastIndexOf("serve")).toBe(255);
    expect(entries.slice(256)).toEqual(new Array(44).fill("close"));
  });

  test("of all forwards, and requests in progress, have a bound together", () => {
    const { doors, memory, requests } = setUp(100);
    memory.socketsMax = 4;
    expect([doors[0]![0]!.enter(NONE), doors[1]![1]!.enter(NONE)]).toEqual(["serve", "serve"]);
    expect([requests[0]!.enter(), requests[1]!.enter(), requests[0]!.enter()]).toEqual([true, true, false]);
    expect([doors[0]![0]!.enter(NONE), doors[1]![1]!.enter(NONE)]).toEqual(["refuse", "refuse"]);
    for (let i = 0; i < 14; i++) expect(doors[0]![0]!.enter(NONE)).toBe("refuse");
    expect(doors[0]![0]!.enter(NONE)).toBe("close");
    requests[0]!.leave();
    expect(memory.sockets.read(0)).toBe(20);
  });

  test("that wait at any forward of the worker make room for a socket, where most of them are first", () => {
    const { doors, memory, requests, waiting } = setUp(100);
    memory.socketsMax = 5;
    const closed: string[] = [];
    const idle = waiting(0, 0, "ab", closed);
    waiting(0, 1, "cde", closed);
    expect([requests[0]!.enter(), closed.join("")]).toEqual([true, "c"]);
    // What waits in another worker is closed by it, soon.
    expect([requests[1]!.enter(), doors[1]![1]!.enter(NONE), closed.join("")]).toEqual([true, "serve", "c"]);
    expect(memory.sockets.read(0)).toBe(7);
    const closeAsked = (worker: number) => [0, 1].forEach((forward) => doors[worker]![forward]!.closeAsked());
    closeAsked(1);
    expect(closed.join("")).toBe("c");
    closeAsked(0);
    expect([closed.length, memory.sockets.read(0)]).toEqual([3, 5]);
    expect([doors[0]![0]!.enter(idle), requests[0]!.enter(), closed.length]).toEqual(["serve", true, 5]);
    expect([requests[0]!.enter(), requests[1]!.enter()]).toEqual([false, false]);
    expect(memory.sockets.read(0)).toBe(5);
  });
});

describe("requests in progress", () => {
  test("are let in up to the limit, over all workers", () => {
    const [one, other] = setUp(9, 3).requests;
    expect([one!.enter(), other!.enter(), one!.full, one!.enter()]).toEqual([true, true, false, true]);
    expect([one!.full, other!.full, other!.enter(), one!.enter()]).toEqual([true, true, false, false]);
    one!.leave();
    expect([other!.full, other!.enter(), one!.enter()]).toEqual([false, true, false]);
  });

  test("without a limit are as many as come", () => {
    const { requests, memory } = setUp(9);
    for (let i = 0; i < 1000; i++) expect(requests[0]!.enter()).toBe(true);
    expect(requests[0]!.full).toBe(false);
    for (let i = 0; i < 1000; i++) requests[0]!.leave();
    expect([memory.requests.read(0), memory.sockets.read(0)]).toEqual([0, 0]);
  });
});
