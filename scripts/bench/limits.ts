// What the limits cost a request: the decision of the rate limit, alone and with the reading of the client's address,
// and the count of requests in progress.
import { clientKey } from "../../src/limits/client-address.ts";
import { RequestGate } from "../../src/limits/request-gate.ts";
import { SocketBudget } from "../../src/limits/socket-budget.ts";
import { LimitsMemory } from "../../src/memory/limits-memory.ts";
import { type ClientKey, RateLimitRule, RateLimitTable } from "../../src/memory/rate-limit-table.ts";
import { Region } from "../../src/memory/region.ts";
import { parseIpAddress } from "../../src/shared/ip-address.ts";

const CLIENTS = 65_536;
const DECISIONS = 2_000_000;
const ROUNDS = 5;

function freshTable(): RateLimitTable {
  const make = (region: Region) => new RateLimitTable(region, CLIENTS);
  const bytes = Region.measure((region) => void make(region));
  const table = make(new Region(new SharedArrayBuffer(bytes)));
  table.seed(0x12345678, 0x3ade68b1);
  return table;
}

/** Prints the median of some rounds in nanoseconds per call. */
function report(name: string, call: (i: number) => number): void {
  const times: number[] = [];
  let sum = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const startNs = Bun.nanoseconds();
    for (let i = 0; i < DECISIONS; i++) sum += call(i);
    times.push((Bun.nanoseconds() - startNs) / DECISIONS);
  }
  times.sort((a, b) => a - b);
  console.log(`${name.padEnd(44)} ${times[ROUNDS >> 1]!.toFixed(0).padStart(5)} ns`, sum === 0 ? "" : " ");
}

const rule = new RateLimitRule(10_000, 20_000);
const strict = new RateLimitRule(1, 1);
const texts = Array.from({ length: CLIENTS }, (_, i) => `10.${i >> 8}.${i & 255}.7`);
const keys: ClientKey[] = texts.map((text) => clientKey(parseIpAddress(text)!));
const table = freshTable();

report("admitted, one client", (i) => table.decide(0, keys[0]!, rule, i));
report("admitted, 65,536 clients in turn", (i) => table.decide(0, keys[i & 65_535]!, rule, i));
report("refused, one client", () => table.decide(0, keys[1]!, strict, 1_000_000));
report("a new client each time", (i) => table.decide(0, { high: 0, low: i + 1 }, rule, 1e9 + i * 10));
report("address read, then admitted", (i) =>
  table.decide(0, clientKey(parseIpAddress(texts[i & 65_535]!)!), rule, 1e10 + i),
);

const capacity = { workers: 2, forwards: 1 };
const bytes = Region.measure((region) => new LimitsMemory(region, capacity));
const memory = new LimitsMemory(new Region(new SharedArrayBuffer(bytes)), capacity);
const gate = new RequestGate(memory.requests, new SocketBudget(memory, 0), 0, 0, 1000);
report("a place for a request, taken and given back", () => {
  const entered = gate.enter();
  gate.leave();
  return entered ? 1 : 0;
});
