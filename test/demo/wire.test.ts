import { expect, test } from "bun:test";

import { Peer } from "../../src/demo/wire.ts";
import type { Exchange } from "../../src/http/exchange.ts";

const HOUR_MS = 3_600_000;

/** As much of an exchange as a peer looks at. */
function fakeExchange(): Exchange {
  return { aborted: false, onAbort: null, onDrain: null } as unknown as Exchange;
}

test("a wait of hours ends as soon as the peer has gone, and none begins afterwards", async () => {
  const exchange = fakeExchange();
  const peer = new Peer(exchange);
  const waiting = peer.wait(HOUR_MS);
  exchange.onAbort?.();
  await waiting;
  expect(peer.gone).toBe(true);
  await peer.wait(HOUR_MS);
  await peer.drained();
});

test("a slow peer is waited for until it has taken everything or has gone", async () => {
  for (const event of ["onDrain", "onAbort"] as const) {
    const exchange = fakeExchange();
    const peer = new Peer(exchange);
    const waiting = peer.drained();
    exchange[event]?.();
    await waiting;
    expect(peer.gone).toBe(event === "onAbort");
  }
});

test("a pause is not cut short because the peer has taken what came before", async () => {
  const exchange = fakeExchange();
  const peer = new Peer(exchange);
  let over = false;
  const waiting = peer.wait(HOUR_MS).then(() => (over = true));
  exchange.onDrain?.();
  await Promise.resolve();
  await Promise.resolve();
  expect(over).toBe(false);
  exchange.onAbort?.();
  await waiting;
});
