import { describe, expect, test } from "bun:test";

import { HostAddresses, interleave, type Resolver } from "../../../src/proxy/transport/host-addresses.ts";

function addressesOf(host: HostAddresses): Promise<readonly string[]> {
  return new Promise((resolve) => host.get(resolve));
}

describe("the addresses of a host", () => {
  test.each(["127.0.0.1", "::1", "10.1.2.3"])("%s is the only one of its own, known at once", (address) => {
    let known: readonly string[] | null = null;
    new HostAddresses(address).get((addresses) => {
      known = addresses;
    });
    expect<readonly string[] | null>(known).toEqual([address]);
  });

  test("of a name are what the system says, for all who ask at a time", async () => {
    const host = new HostAddresses("localhost");
    const [first, second] = await Promise.all([addressesOf(host), addressesOf(host)]);
    expect(first.some((address) => address === "127.0.0.1" || address === "::1")).toBe(true);
    expect(second).toEqual(first);
    let again: readonly string[] | null = null;
    host.get((addresses) => {
      again = addresses;
    });
    // Known by now.
    expect<readonly string[] | null>(again).toEqual(first);
  });

  /** A resolver that says the next of these things each time it is asked. */
  function saying(...answers: (string[] | { code: string })[]): { resolve: Resolver; asked: string[] } {
    const asked: string[] = [];
    const resolve: Resolver = (hostname, onResult) => {
      asked.push(hostname);
      setTimeout(() => onResult(answers[asked.length - 1]!), 1);
    };
    return { resolve, asked };
  }

  test("are looked up once for all who ask at a time, and again when they are no longer fresh", async () => {
    const { resolve, asked } = saying(["10.0.0.1"], ["10.0.0.2"]);
    const host = new HostAddresses("a.test", resolve, 50);
    expect(await Promise.all([addressesOf(host), addressesOf(host)])).toEqual([["10.0.0.1"], ["10.0.0.1"]]);
    expect(asked).toEqual(["a.test"]);
    await Bun.sleep(60);
    expect(await addressesOf(host)).toEqual(["10.0.0.2"]);
  });

  test("are the old ones while the resolver is down, and none when it says that there are none", async () => {
    const { resolve } = saying(["10.0.0.1"], { code: "EAI_AGAIN" }, { code: "ENOTFOUND" }, ["10.0.0.2"]);
    const host = new HostAddresses("a.test", resolve, 0);
    expect(await addressesOf(host)).toEqual(["10.0.0.1"]);
    expect(await addressesOf(host)).toEqual(["10.0.0.1"]);
    expect(await addressesOf(host)).toEqual([]);
    expect(await addressesOf(host)).toEqual(["10.0.0.2"]);
  });

  test("are the old ones where the resolver takes its time, until they are doubted or it is back", async () => {
    const lookups: ((found: readonly string[]) => void)[] = [];
    const host = new HostAddresses("a.test", (_, onResult) => void lookups.push(onResult), 1);
    const first = addressesOf(host);
    await Bun.sleep(600);
    // What is not known is waited for.
    expect(await Promise.race([first, "nothing"])).toBe("nothing");
    lookups[0]!(["10.0.0.1"]);
    expect(await first).toEqual(["10.0.0.1"]);
    await Bun.sleep(5);
    const asked = Promise.all([addressesOf(host), addressesOf(host)]);
    expect(await Promise.race([asked, Bun.sleep(50).then(() => "nothing")])).toBe("nothing");
    expect(await asked).toEqual([["10.0.0.1"], ["10.0.0.1"]]);
    expect(await Promise.race([addressesOf(host), "nothing"])).toEqual(["10.0.0.1"]);
    await Bun.sleep(1010);
    host.doubt();
    const doubting = addressesOf(host);
    expect(await Promise.race([doubting, Bun.sleep(600).then(() => "nothing")])).toBe("nothing");
    expect(lookups.length).toBe(2);
    lookups[1]!(["10.0.0.2"]);
    expect(await doubting).toEqual(["10.0.0.2"]);
  });

  test("that did not answer come last, until the next lookup", async () => {
    const { resolve } = saying(["10.0.0.1", "10.0.0.2", "10.0.0.3"], ["10.0.0.1", "10.0.0.2"]);
    const host = new HostAddresses("a.test", resolve, 1000);
    const first = await addressesOf(host);
    host.demote("10.0.0.1");
    expect(await addressesOf(host)).toEqual(["10.0.0.2", "10.0.0.3", "10.0.0.1"]);
    // Whoever goes through the list at that time is not disturbed.
    expect(first).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    await Bun.sleep(1010);
    expect(await addressesOf(host)).toEqual(["10.0.0.1", "10.0.0.2"]);
  });

  test("of which none could be connected to are looked up again, though not at once", async () => {
    const { resolve, asked } = saying(["10.0.0.1"], ["10.0.0.2"]);
    const host = new HostAddresses("a.test", resolve);
    expect(await addressesOf(host)).toEqual(["10.0.0.1"]);
    host.doubt();
    expect(await addressesOf(host)).toEqual(["10.0.0.1"]);
    await Bun.sleep(1010);
    expect(await addressesOf(host)).toEqual(["10.0.0.2"]);
    expect(asked.length).toBe(2);
  });

  test("are not all used where there are very many", async () => {
    const { resolve } = saying(Array.from({ length: 50 }, (_, i) => `10.0.0.${i}`));
    expect(await addressesOf(new HostAddresses("a.test", resolve))).toHaveLength(16);
  });

  test("of a name that nobody knows are none, each time it is asked for", async () => {
    const host = new HostAddresses(`${"x".repeat(64)}.test`);
    expect(await addressesOf(host)).toEqual([]);
    expect(await addressesOf(host)).toEqual([]);
  });

  test("alternate between the kinds, beginning with that of the first", () => {
    expect(interleave(["::1", "::2", "::3", "10.0.0.1"])).toEqual(["::1", "10.0.0.1", "::2", "::3"]);
    expect(interleave(["10.0.0.1", "10.0.0.2", "::1"])).toEqual(["10.0.0.1", "::1", "10.0.0.2"]);
    expect(interleave(["10.0.0.1"])).toEqual(["10.0.0.1"]);
    expect(interleave([])).toEqual([]);
  });
});
