import { describe, expect, test } from "bun:test";

import type { BodyFailure, Exchange } from "../../src/http/exchange.ts";
import { admit } from "../../src/proxy/admission.ts";
import { statusOf } from "../../src/proxy/errors.ts";
import type { Route } from "../../src/proxy/route.ts";

const BYTES_MAX = 100;

/** A request whose body comes to this, through a forward with or without a place left. */
async function admitted(
  method: string,
  body: Uint8Array | BodyFailure,
  { full = false, aborted = false } = {},
): Promise<{ result: unknown; entered: number; asked: number | null }> {
  let asked: number | null = null;
  let entered = 0;
  const exchange = {
    method,
    aborted,
    readBody(bytesMax: number) {
      asked = bytesMax;
      return Promise.resolve(body);
    },
  } as unknown as Exchange;
  const requests = {
    full,
    enter() {
      entered++;
      return true;
    },
  };
  const route = { limits: { rate: null, requests, bodyBytesMax: BYTES_MAX } } as unknown as Route;
  const admission = await admit(exchange, route);
  const told = admission instanceof Uint8Array || typeof admission === "string";
  return { result: told ? admission : statusOf(admission.code), entered, asked };
}

const BODY = Buffer.from("{}");

describe("a request", () => {
  test("is let in with its body, and counts from then on", async () => {
    expect(await admitted("POST", BODY)).toEqual({ result: BODY, entered: 1, asked: BYTES_MAX });
    expect(await admitted("DELETE", BODY)).toMatchObject({ result: BODY, entered: 1 });
    const empty = new Uint8Array(0);
    expect(await admitted("GET", empty)).toMatchObject({ result: empty, entered: 1 });
  });

  test.each(["GET", "HEAD"])("to %s something may have no body", async (method) => {
    expect(await admitted(method, BODY)).toMatchObject({ result: 400, entered: 0 });
  });

  const failures: [BodyFailure, number | "client-gone"][] = [
    ["too-large", 413],
    ["stalled", 408],
    ["malformed", 400],
    ["closed", "client-gone"],
  ];
  test.each(failures)("whose body is %s: %p", async (failure, expected) => {
    expect(await admitted("POST", failure)).toMatchObject({ result: expected, entered: 0 });
  });

  test("for which there is no place is turned away before its body is read", async () => {
    expect(await admitted("POST", BODY, { full: true })).toMatchObject({ entered: 0, asked: null });
  });

  test("whose client has gone meanwhile takes no place", async () => {
    expect(await admitted("POST", BODY, { aborted: true })).toMatchObject({
      result: "client-gone",
      entered: 0,
    });
  });
});
