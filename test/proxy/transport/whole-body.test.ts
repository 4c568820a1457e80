import { describe, expect, test } from "bun:test";

import type { TransportFailure } from "../../../src/proxy/transport/transport.ts";
import { WholeBody } from "../../../src/proxy/transport/whole-body.ts";

/** Gives it a piece that has other bytes around it. */
function give(body: WholeBody, piece: string): void {
  body.piece(Buffer.from(`<${piece}>`), 1, 1 + piece.length);
}

describe("a response body that is read whole", () => {
  test("is all its pieces", async () => {
    const body = new WholeBody(10, 0);
    const whole = body.result();
    for (const piece of ["ab", "cde", "f"]) give(body, piece);
    body.end();
    expect(Buffer.from((await whole) as Uint8Array).toString()).toBe("abcdef");
  });

  test("is the piece itself, without a promise, where it came in one and is all there", () => {
    const body = new WholeBody(10, 3);
    const piece = Buffer.from("abc");
    body.piece(piece, 0, piece.length);
    body.end();
    expect(body.result()).toBe(piece);
  });

  test("may be empty, and may fill its bound", () => {
    const empty = new WholeBody(0, 0);
    empty.end();
    expect(empty.result()).toHaveLength(0);
    const full = new WholeBody(3, 0);
    for (const piece of ["ab", "c"]) give(full, piece);
    full.end();
    expect(full.result()).toHaveLength(3);
  });

  test.each([[["abcd"]], [["ab", "cd"]]])(
    "is too large as soon as it passes its bound: %j",
    async (pieces) => {
      const body = new WholeBody(3, 0);
      const whole = body.result();
      for (const piece of pieces) give(body, piece);
      expect(await whole).toBe("too-large");
      give(body, "e");
      body.end();
      expect(await whole).toBe("too-large");
    },
  );

  test("is a failure where it breaks off", async () => {
    const body = new WholeBody(10, 0);
    const whole = body.result();
    const failure: TransportFailure = { failed: "lost", reach: "body-begun" };
    give(body, "ab");
    body.fail(failure);
    expect(await whole).toBe(failure);
  });
});
