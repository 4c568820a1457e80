import { describe, expect, test } from "bun:test";
import { isIP } from "node:net";

import {
  contains,
  type IpAddress,
  ipVersion,
  isHostAddress,
  isIPv4Address,
  parseIpAddress,
  parseNetwork,
} from "../../src/shared/ip-address.ts";
import { Random } from "../support/random.ts";

function words(address: IpAddress | null): string | null {
  if (address === null) return null;
  const { w0, w1, w2, w3 } = address;
  return [w0, w1, w2, w3].map((word) => word.toString(16)).join(" ");
}

describe("an address", () => {
  const valid: [text: string, words: string][] = [
    ["127.0.0.1", "0 0 ffff 7f000001"],
    ["255.255.255.255", "0 0 ffff ffffffff"],
    ["0.0.0.0", "0 0 ffff 0"],
    ["::ffff:10.1.2.3", "0 0 ffff a010203"],
    ["::FFFF:a01:203", "0 0 ffff a010203"],
    ["::", "0 0 0 0"],
    ["::1", "0 0 0 1"],
    ["1::", "10000 0 0 0"],
    ["2001:db8::1", "20010db8 0 0 1"],
    ["2001:0DB8:0:0:0:0:0:1", "20010db8 0 0 1"],
    ["1:2:3:4:5:6:7:8", "10002 30004 50006 70008"],
    ["1:2:3:4:5:6:7::", "10002 30004 50006 70000"],
    ["::2:3:4:5:6:7:8", "2 30004 50006 70008"],
    ["1:2:3:4:5:6:1.2.3.4", "10002 30004 50006 1020304"],
    ["64:ff9b::192.0.2.33", "64ff9b 0 0 c0000221"],
  ];
  test.each(valid)("%s is read", (text, expected) => {
    expect(words(parseIpAddress(text))).toBe(expected);
  });

  test.each([
    ...[
      "",
      " ",
      "1",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.",
      ".1.2.3",
      "1..2.3",
      "256.1.1.1",
      "01.2.3.4",
      "1.2.3.04",
    ],
    ...["1.2.3.4 ", " 1.2.3.4", "0x7f.0.0.1", "1.2.3.4:80", "-1.2.3.4", "1,2.3.4", "1.2.3.a", "127.1"],
    ...[":", ":::", "1:", ":1", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1:2:3:4:5:6:7:8"],
    ...["1:2:3:4:5:6:7:8::", "12345::", "g::", "[::1]", "::1%eth0", "1.2.3.4::", "::1.2.3.4:5", "::1.2.3"],
    ...["1:2:3:4:5:6:7:1.2.3.4", "::ffff:01.2.3.4", "localhost", "::1/64", `${"0".repeat(60)}::1`],
  ])("%j is none", (text) => {
    expect(parseIpAddress(text)).toBeNull();
  });

  test("agrees with the system's own reader, for any text of the right letters", async () => {
    const random = new Random();
    const pieces = ["1", "0", "255", "9", "ab", "FFFF", ":", "::", ".", ":", "."];
    await random.run(async () => {
      let addresses = 0;
      for (let round = 0; round < 300_000; round++) {
        let text = "";
        for (let length = 1 + random.below(16); length > 0; length--)
          text += pieces[random.below(pieces.length)]!;
        const version = isIP(text);
        if (ipVersion(text) !== version) throw new Error(`${text} is of version ${version}`);
        const known = version !== 0;
        if (known) addresses++;
        if ((parseIpAddress(text) !== null) !== known)
          throw new Error(`${text} is ${known ? "one" : "none"}`);
      }
      expect(addresses).toBeGreaterThan(100);
    });
  });

  test("may have a zone where it is IPv6", () => {
    for (const text of ["fe80::1%eth0", "fe80::1%", "%eth0", "10.0.0.1%eth0", "::1%a%b"])
      expect(ipVersion(text), text).toBe(isIP(text) as 0 | 4 | 6);
  });

  test.each(["10.0.0.1", "::1", "fe80::1", "2001:db8::1", "223.255.255.255", "255.255.255.255"])(
    "%s can be a host's",
    (text) => expect(isHostAddress(parseIpAddress(text)!)).toBe(true),
  );
  test.each(["0.0.0.0", "::", "224.0.0.1", "239.1.2.3", "ff02::1", "ffff:ffff::1"])("%s cannot", (text) => {
    expect(isHostAddress(parseIpAddress(text)!)).toBe(false);
  });

  test("is IPv4 also where it is mapped into IPv6", () => {
    expect(isIPv4Address(parseIpAddress("1.2.3.4")!)).toBe(true);
    expect(isIPv4Address(parseIpAddress("::ffff:1.2.3.4")!)).toBe(true);
    expect(isIPv4Address(parseIpAddress("::1.2.3.4")!)).toBe(false);
    expect(isIPv4Address(parseIpAddress("2001:db8::ffff:102:304")!)).toBe(false);
  });
});

describe("a network", () => {
  const holds: [network: string, inside: string[], outside: string[]][] = [
    [
      "10.0.0.0/8",
      ["10.0.0.0", "10.255.255.255", "::ffff:10.1.1.1"],
      ["11.0.0.0", "9.255.255.255", "::a00:1"],
    ],
    ["192.168.1.128/25", ["192.168.1.128", "192.168.1.255"], ["192.168.1.127", "192.168.2.128"]],
    ["192.0.2.7", ["192.0.2.7"], ["192.0.2.6", "192.0.2.8"]],
    ["0.0.0.0/0", ["1.2.3.4", "255.255.255.255"], ["::1", "2001:db8::1"]],
    ["::/0", ["1.2.3.4", "::1", "ffff::"], []],
    [
      "2001:db8::/32",
      ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
      ["2001:db9::", "2001:db7:ffff::"],
    ],
    [
      "2001:db8:0:8000::/49",
      ["2001:db8:0:8000::1", "2001:db8:0:ffff::"],
      ["2001:db8:0:7fff::", "2001:db8:1::"],
    ],
    ["::1", ["::1"], ["::2", "127.0.0.1"]],
    ["::ffff:10.0.0.0/104", ["10.9.9.9"], ["11.0.0.0"]],
    ["fe80::/10", ["fe80::1", "febf::1"], ["fec0::1", "fe7f::1"]],
  ];
  test.each(holds)("%s holds its addresses and no others", (text, inside, outside) => {
    const network = parseNetwork(text)!;
    for (const address of inside)
      expect([address, contains(network, parseIpAddress(address)!)]).toEqual([address, true]);
    for (const address of outside)
      expect([address, contains(network, parseIpAddress(address)!)]).toEqual([address, false]);
  });

  test.each([
    ...[
      "10.0.0.1/8",
      "10.0.0.0/33",
      "10.0.0.0/-1",
      "10.0.0.0/08",
      "10.0.0.0/",
      "10.0.0.0/8/8",
      "10.0.0.0/8 ",
      "/8",
    ],
    ...["2001:db8::1/64", "::/129", "::/1280", "10.0.0.0/255.0.0.0", "host/8", ""],
  ])("%j is none", (text) => {
    expect(parseNetwork(text)).toBeNull();
  });

  test("of any length holds exactly the addresses that share its bits", async () => {
    const random = new Random();
    await random.run(async () => {
      for (let round = 0; round < 20_000; round++) {
        const value = BigInt(`0x${random.bytes(16).toString("hex")}`);
        const length = random.below(129);
        const mask = ((1n << BigInt(length)) - 1n) << BigInt(128 - length);
        const network = parseNetwork(`${ipv6(value & mask)}/${length}`)!;
        // An address that differs in one bit.
        const bit = random.below(128);
        const other = (value & mask) ^ (1n << BigInt(127 - bit));
        expect(contains(network, parseIpAddress(ipv6(value))!)).toBe(true);
        expect(contains(network, parseIpAddress(ipv6(other))!)).toBe(bit >= length);
      }
    });
  });
});

function ipv6(value: bigint): string {
  return value
    .toString(16)
    .padStart(32, "0")
    .replace(/(....)(?=.)/g, "$1:");
}
