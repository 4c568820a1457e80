import { describe, expect, test } from "bun:test";

import { FieldNames, lowerName } from "../../src/http/field-names.ts";
import { Random } from "../support/random.ts";

const NAMES = ["host", "te", "x-api-key", "transfer-encoding", "_under", `x-${"long".repeat(20)}`];

describe("a set of field names", () => {
  test("holds its names in any case, and no others", async () => {
    const names = new FieldNames(NAMES);
    expect([...names].sort()).toEqual([...NAMES].sort());
    for (const name of NAMES) {
      for (const spelled of [name, name.toUpperCase(), name[0]!.toUpperCase() + name.slice(1)])
        expect(names.has(spelled)).toBe(true);
    }
    for (const other of ["", "hos", "hosts", "hast", "tE ", "x-api-kex", "x_api-key", "Host\0"])
      expect(names.has(other)).toBe(false);
    const random = new Random();
    await random.run(async () => {
      const chars = "abehiknoprstxy-_HOSTE[@`";
      for (let round = 0; round < 50_000; round++) {
        const name = Array.from({ length: random.below(12) }, () => chars[random.below(chars.length)]!).join(
          "",
        );
        if (names.has(name) !== NAMES.includes(name.toLowerCase())) throw new Error(JSON.stringify(name));
      }
    });
  }, 60_000);
});

describe("a field name in lower case", () => {
  test("is right however many there were before", () => {
    for (let round = 0; round < 2; round++)
      for (let at = 0; at < 2000; at++) expect(lowerName(`X-Name-${at}`)).toBe(`x-name-${at}`);
  });
});
