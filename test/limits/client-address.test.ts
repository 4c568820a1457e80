import { describe, expect, test } from "bun:test";

import { clientKey, clientOf, peerAddress } from "../../src/limits/client-address.ts";
import { type IpAddress, type Network, parseIpAddress, parseNetwork } from "../../src/shared/ip-address.ts";
import { Random } from "../support/random.ts";

const TRUSTED = ["10.0.0.0/8", "127.0.0.1", "2001:db8:ffff::/48"].map((text) => parseNetwork(text)!);
const PROXY = "10.1.1.1";

function client(peer: string, fields: readonly string[], trusted: readonly Network[] = TRUSTED): IpAddress {
  const headers = fields.flatMap((field) => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon), field.slice(colon + 1).trim()];
  });
  return clientOf(peerAddress(peer)!, headers, trusted);
}

function expectClient(peer: string, fields: readonly string[], expected: string): void {
  expect(client(peer, fields)).toEqual(parseIpAddress(expected)!);
}

describe("a peer that is not trusted", () => {
  test.each(["9.9.9.9", "2001:db8::1", "::1", "11.0.0.1"])("%s is the client, whatever it says", (peer) => {
    expectClient(peer, [], peer);
    expectClient(peer, ["X-Forwarded-For: 1.2.3.4"], peer);
    expectClient(peer, ["Forwarded: for=1.2.3.4", "X-Forwarded-For: 10.0.0.1"], peer);
  });

  test("is every peer by default", () => {
    expect(client(PROXY, ["X-Forwarded-For: 1.2.3.4"], [])).toEqual(parseIpAddress(PROXY)!);
  });
});

describe("X-Forwarded-For of a trusted peer", () => {
  const cases: [value: string, client: string][] = [
    ["1.2.3.4", "1.2.3.4"],
    ["  1.2.3.4\t", "1.2.3.4"],
    ["2001:db8::7", "2001:db8::7"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["1.2.3.4:5678", "1.2.3.4"],
    ["[2001:db8::7]:443", "2001:db8::7"],
    ["[2001:db8::7]", "2001:db8::7"],
    // From the right: what stands further left was there before a proxy that we trust saw it.
    ["6.6.6.6, 1.2.3.4", "1.2.3.4"],
    ["6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"],
    ["6.6.6.6, 1.2.3.4, 10.9.9.9, 127.0.0.1, 2001:db8:ffff::1", "1.2.3.4"],
    ["garbage, 1.2.3.4, 10.9.9.9", "1.2.3.4"],
    // All trusted: the first one is the furthest.
    ["10.2.2.2, 10.3.3.3", "10.2.2.2"],
    ["10.2.2.2", "10.2.2.2"],
    ["1.2.3.4,,", "1.2.3.4"],
    [",1.2.3.4 , ,10.3.3.3", "1.2.3.4"],
    // Malformed where it matters: the peer.
    ["1.2.3.4, garbage", PROXY],
    ["1.2.3.4, unknown, 10.3.3.3", PROXY],
    ["garbage, 10.3.3.3", PROXY],
    ["1.2.3.4.5", PROXY],
    ["1.2.3.4 5.6.7.8", PROXY],
    ['"1.2.3.4"', PROXY],
    ["0.0.0.0", PROXY],
    ["ff02::1", PROXY],
    ["224.0.0.1", PROXY],
    ["fe80::1%eth0", PROXY],
    ["1.2.3.4:99999999", PROXY],
    ["", PROXY],
    [",", PROXY],
  ];
  test.each(cases)("%j names %s", (value, expected) => {
    expectClient(PROXY, [`X-Forwarded-For: ${value}`], expected);
    expectClient(PROXY, [`x-forwarded-for: ${value}`, "X-Forwarded-Host: 8.8.8.8"], expected);
  });

  test("may be spread over several fields", () => {
    expectClient(
      PROXY,
      ["X-Forwarded-For: 6.6.6.6", "Accept: x", "X-Forwarded-For: 1.2.3.4, 10.2.2.2"],
      "1.2.3.4",
    );
    expectClient(PROXY, ["X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 10.2.2.2"], "1.2.3.4");
  });
});

describe("Forwarded of a trusted peer", () => {
  const cases: [value: string, client: string][] = [
    ["for=1.2.3.4", "1.2.3.4"],
    ["For=1.2.3.4;proto=https;by=10.1.1.1", "1.2.3.4"],
    ["by=10.1.1.1; host=example.com ;for=1.2.3.4", "1.2.3.4"],
    ['for="1.2.3.4:5678"', "1.2.3.4"],
    ['for="[2001:db8::7]:5678"', "2001:db8::7"],
    ['for="[2001:db8::7]"', "2001:db8::7"],
    ['for="\\1.2.3.4"', "1.2.3.4"],
    ['for="1.2.3.4:_port"', "1.2.3.4"],
    ["for=6.6.6.6, for=1.2.3.4;proto=https , for=10.2.2.2", "1.2.3.4"],
    ['for=6.6.6.6;host="a, for=7.7.7.7", for=1.2.3.4', "1.2.3.4"],
    ["for=_hidden, for=1.2.3.4", "1.2.3.4"],
    ["for=10.2.2.2, for=10.3.3.3", "10.2.2.2"],
    ["for=1.2.3.4;", "1.2.3.4"],
    [", for=1.2.3.4,", "1.2.3.4"],
    // Nobody that could be told.
    ["for=1.2.3.4, for=unknown", PROXY],
    ["for=1.2.3.4, for=_hidden", PROXY],
    ["for=1.2.3.4, proto=https", PROXY],
    ["proto=https", PROXY],
    // Syntax: a mistake anywhere.
    ['" , for=1.2.3.4', PROXY],
    ['for="1.2.3.4', PROXY],
    ["for=1.2.3.4:80", PROXY],
    ["for=[2001:db8::7]", PROXY],
    ["for = 1.2.3.4", PROXY],
    ["for=1.2.3.4;for=5.6.7.8", PROXY],
    ["for", PROXY],
    ["for=", PROXY],
    ["=1.2.3.4", PROXY],
    ["for=1.2.3.4 for=5.6.7.8", PROXY],
    ["; for=1.2.3.4", PROXY],
    ['for="2001:db8::7"', PROXY],
    ['for="[1.2.3.4]"', PROXY],
    ["1.2.3.4", PROXY],
    ["", PROXY],
  ];
  test.each(cases)("%j names %s", (value, expected) => {
    expectClient(PROXY, [`Forwarded: ${value}`], expected);
  });

  test("may be spread over several fields", () => {
    expectClient(PROXY, ["Forwarded: for=6.6.6.6", "Forwarded: for=1.2.3.4, for=10.2.2.2"], "1.2.3.4");
  });
});

describe("both fields of a trusted peer", () => {
  test("name the client where they agree", () => {
    expectClient(PROXY, ["Forwarded: for=1.2.3.4", "X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.2.2.2"], "1.2.3.4");
    expectClient(PROXY, ["Forwarded: for=1.2.3.4", "X-Forwarded-For: ::ffff:1.2.3.4"], "1.2.3.4");
  });

  test("name nobody where they differ, as one of them may be the client's own", () => {
    expectClient(PROXY, ["Forwarded: for=6.6.6.6", "X-Forwarded-For: 1.2.3.4"], PROXY);
    expectClient(PROXY, ["Forwarded: for=unknown", "X-Forwarded-For: 1.2.3.4"], PROXY);
    expectClient(PROXY, ["Forwarded: for=1.2.3.4", "X-Forwarded-For: garbage"], PROXY);
  });

  test("count only when there is something in them", () => {
    expectClient(PROXY, ["Forwarded: ", "X-Forwarded-For: 1.2.3.4"], "1.2.3.4");
    expectClient(PROXY, ["Forwarded: for=1.2.3.4", "X-Forwarded-For: "], "1.2.3.4");
  });
});

test("a client cannot choose who it is, whatever it sends before its proxies write their part", async () => {
  const random = new Random();
  const pieces = [
    "1.2.3.4",
    "10.0.0.1",
    "::1",
    "for=",
    '"',
    "\\",
    ",",
    ";",
    " ",
    "unknown",
    "_x",
    "[",
    "]",
    ":",
    "\xa0",
  ];
  const garbage = () =>
    Array.from({ length: random.below(12) }, () => pieces[random.below(pieces.length)]!).join("");
  await random.run(async () => {
    for (let round = 0; round < 50_000; round++) {
      const sent = garbage();
      const x = client(PROXY, [`X-Forwarded-For: ${sent}${sent === "" ? "" : ", "}9.8.7.6, 10.2.2.2`]);
      if (x.w3 !== 0x09080706) throw new Error(JSON.stringify(sent));
      // A stray quote can spoil the whole field, but not make it name somebody else.
      const peer = parseIpAddress(PROXY)!.w3;
      const standard = client(PROXY, [
        `Forwarded: ${sent}${sent === "" ? "" : ", "}for=9.8.7.6, for=10.2.2.2`,
      ]);
      if (standard.w3 !== peer && standard.w3 !== 0x09080706) throw new Error(JSON.stringify(sent));
      client(PROXY, [`Forwarded: ${sent}`, `X-Forwarded-For: ${garbage()}`, `Forwarded: ${garbage()}`]);
    }
  });
});

describe("a rate limit's key", () => {
  const key = (text: string) => Object.values(clientKey(peerAddress(text)!)).join(" ");

  test("is an IPv4 address by itself, also where it is mapped into IPv6", () => {
    expect(key("1.2.3.4")).toBe(key("::ffff:1.2.3.4"));
    expect(key("1.2.3.4")).not.toBe(key("1.2.3.5"));
    expect(key("1.2.3.4")).not.toBe(key("::1.2.3.4"));
  });

  test("is an IPv6 address by its first 64 bits", () => {
    expect(key("2001:db8:1:2::1")).toBe(key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    expect(key("2001:db8:1:2::1")).not.toBe(key("2001:db8:1:3::1"));
    expect(key("2001:db8:1:2::1")).not.toBe(key("2001:db9:1:2::1"));
    expect(key("fe80::1%eth0")).toBe(key("fe80::2"));
  });

  test("is never the same for an IPv4 and an IPv6 host, and never all zero", async () => {
    const random = new Random();
    await random.run(async () => {
      for (let round = 0; round < 100_000; round++) {
        const [w0, w1, w2, w3] = [0, 1, 2, 3].map(() =>
          random.below(3) === 0 ? 0 : random.bytes(4).readUInt32BE(),
        );
        const address = { w0: w0! & 0xfeffffff, w1: w1!, w2: w2!, w3: w3! };
        if (clientKey(address).high === 0) throw new Error(JSON.stringify(address));
      }
    });
    expect(clientKey(parseIpAddress("::")!)).toEqual({ high: -1, low: 0 });
    expect(clientKey(parseIpAddress("255.255.255.255")!)).toEqual({ high: 0, low: -1 });
  });
});
