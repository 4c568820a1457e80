import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findServiceManager } from "../../src/supervisor/sd-notify.ts";
import { configOf } from "../support/config.ts";
import { startProxy } from "../support/proxy.ts";
import { DatagramReceiver, python } from "./datagram-receiver.ts";

const runnable = process.platform === "linux" && python !== null;
if (!runnable) console.log("sd-notify: skipped, as this needs Linux and python3");

const directory = mkdtempSync(join(tmpdir(), "llmproxy-notify-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let names = 0;
const newPath = () => join(directory, `${++names}.sock`);

/** CLOCK_MONOTONIC as another program sees it. */
function monotonicUs(): number {
  const program = "import time; print(time.monotonic_ns() // 1000)";
  return Number(Bun.spawnSync([python!, "-c", program]).stdout.toString());
}

/** The answer to an abstract name is the same as to a path. */
const kinds: [kind: string, name: () => string][] = [
  ["a path", newPath],
  ["an abstract name", () => `@llmproxy-test-${process.pid}-${++names}`],
];

describe.skipIf(!runnable)("the service manager", () => {
  test.each(kinds)("is told over %s what happens, in order", async (_, name) => {
    const address = name();
    await using receiver = await DatagramReceiver.bind(address);
    const manager = await findServiceManager({ NOTIFY_SOCKET: address });
    manager.ready("serving 2\nforwards");
    manager.reloading();
    manager.handOver(4711);
    manager.stopping(35_000);
    await receiver.until((messages) => messages.length === 4);
    manager.close();
    const [ready, reloading, handOver, stopping] = receiver.messages;
    expect(ready).toBe("READY=1\nSTATUS=serving 2 forwards\n");
    expect(reloading).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+\nSTATUS=reloading\n$/);
    expect(handOver).toBe("MAINPID=4711\nSTATUS=serving\n");
    expect(stopping).toBe("STOPPING=1\nEXTEND_TIMEOUT_USEC=35000000\nSTATUS=draining\n");
  });

  test("gets the time of its own monotonic clock with a reload", async () => {
    const address = newPath();
    await using receiver = await DatagramReceiver.bind(address);
    const manager = await findServiceManager({ NOTIFY_SOCKET: address });
    const before = monotonicUs();
    manager.reloading();
    await receiver.until((messages) => messages.length === 1);
    manager.close();
    const toldUs = Number(/MONOTONIC_USEC=(\d+)/.exec(receiver.messages[0]!)![1]);
    expect(toldUs).toBeGreaterThanOrEqual(before);
    expect(toldUs).toBeLessThanOrEqual(monotonicUs());
  });

  test("is pinged as long as nothing hangs, and not while something does", async () => {
    const address = newPath();
    await using receiver = await DatagramReceiver.bind(address);
    const manager = await findServiceManager({ NOTIFY_SOCKET: address, WATCHDOG_USEC: "20000" });
    const asked: number[] = [];
    let hangs = false;
    manager.watch((silentMs) => {
      asked.push(silentMs);
      return hangs ? "worker 1 hangs" : null;
    });
    const pings = () => receiver.messages.filter((message) => message === "WATCHDOG=1\n").length;
    await receiver.until(() => pings() >= 3);
    hangs = true;
    const askedBefore = asked.length;
    while (asked.length < askedBefore + 5) await Bun.sleep(1);
    manager.ready("end");
    await receiver.until((messages) => messages.some((message) => message.includes("STATUS=end")));
    manager.close();
    expect(pings()).toBe(askedBefore);
    expect(new Set(asked)).toEqual(new Set([10]));
  });

  test("that asks for no watchdog gets no pings", async () => {
    const address = newPath();
    await using receiver = await DatagramReceiver.bind(address);
    const manager = await findServiceManager({ NOTIFY_SOCKET: address });
    let asked = 0;
    manager.watch(() => {
      asked++;
      return null;
    });
    manager.ready("");
    await receiver.until((messages) => messages.length === 1);
    manager.close();
    expect(asked).toBe(0);
  });

  test("is told later what it could not take at first", async () => {
    const address = newPath();
    const manager = await findServiceManager({ NOTIFY_SOCKET: address });
    manager.ready("first");
    manager.reloading();
    await using receiver = await DatagramReceiver.bind(address);
    await receiver.until((messages) => messages.length === 2);
    manager.close();
    expect(receiver.messages.map((message) => message.split("\n")[0])).toEqual(["READY=1", "RELOADING=1"]);
  });
});

test.each([
  ["none", {}],
  ["an empty one", { NOTIFY_SOCKET: "" }],
  ["one that is no socket", { NOTIFY_SOCKET: "vsock:2:1234" }],
  ["one with a name that is too long", { NOTIFY_SOCKET: `/${"x".repeat(108)}` }],
  ["one that nobody listens on", { NOTIFY_SOCKET: "/nowhere/notify", WATCHDOG_USEC: "soon" }],
])("without a service manager (%s) nothing is told and nothing fails", async (_, env) => {
  const manager = await findServiceManager(env);
  manager.ready("x");
  manager.reloading();
  manager.handOver(1);
  manager.watch(() => null);
  manager.stopping(1);
  manager.close();
});

describe.skipIf(!runnable)("llmproxyd as a service", () => {
  test("says that it is ready, that it is alive, and that it stops", async () => {
    const address = newPath();
    await using receiver = await DatagramReceiver.bind(address);
    await using proxy = await startProxy({
      config: configOf({ chat: { upstreams: { none: "http://127.0.0.1:1" } } }),
      env: { NOTIFY_SOCKET: address, WATCHDOG_USEC: "100000", WATCHDOG_PID: "1" },
      args: ["--shutdown-timeout", "10"],
    });
    const pings = (messages: readonly string[]) => messages.filter((text) => text === "WATCHDOG=1\n").length;
    await receiver.until((messages) => pings(messages) >= 3);
    expect(receiver.messages[0]).toBe("READY=1\nSTATUS=serving\n");
    expect(proxy.stderr).toContain(" listening admin=true ");
    await proxy.stop();
    await receiver.until((messages) => messages.some((text) => text.startsWith("STOPPING=1\n")));
    expect(receiver.messages.find((text) => text.startsWith("STOPPING=1\n"))).toContain(
      "EXTEND_TIMEOUT_USEC=15000000\n",
    );
  });

  test("that cannot start never says that it is ready", async () => {
    const address = newPath();
    await using receiver = await DatagramReceiver.bind(address);
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const start = startProxy({
      config: configOf({
        chat: { upstreams: { none: "http://127.0.0.1:1" }, forward: { port: taken.port } },
      }),
      env: { NOTIFY_SOCKET: address },
    });
    await expect(start).rejects.toThrow("the port is in use");
    taken.stop(true);
    expect(receiver.messages).toEqual([]);
  });
});
