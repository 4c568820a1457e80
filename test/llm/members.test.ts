import { expect, test } from "bun:test";

import { Members } from "../../src/llm/members.ts";
import { Random } from "../support/random.ts";

const MEMBERS = new Members(["model", "usage"], {
  others: ["error"],
  counts: ["prompt_tokens", "details", "cached"],
});

function near(value: object, space?: string): object {
  return MEMBERS.near(Buffer.from(JSON.stringify(value, null, space)));
}

test("members are found wherever they stand around a long answer", async () => {
  const random = new Random();
  await random.run(async () => {
    for (let round = 0; round < 2_000; round++) {
      const all: [string, unknown][] = [
        ["model", `m-${random.below(5)} \\ " ü`],
        ["usage", { prompt_tokens: random.below(100), details: { cached: [1, "]}"] } }],
        ["error", { message: 'no "room"', code: null }],
        ["id", "model"],
        ["choices", [{ model: "inner", text: `"usage":{}\\${"x".repeat(random.below(9000))}` }]],
        ["created", random.below(1e9)],
      ];
      for (let i = all.length - 1; i > 0; i--) {
        const j = random.below(i + 1);
        [all[i], all[j]] = [all[j]!, all[i]!];
      }
      const members = all.filter(() => random.below(8) > 0);
      const said = Object.fromEntries(members);
      const found: Record<string, unknown> = { ...near(said, random.below(3) === 0 ? " " : undefined) };
      for (const name of ["model", "usage"]) expect(found[name]).toEqual(said[name]);
      // It is looked for near the others only.
      if ("error" in found) expect(found["error"]).toEqual(said["error"]);
      expect(Object.keys(found)).not.toContain("id");
    }
  });
});

test("beyond arrays it is looked only for what is missing", () => {
  const choices = [{ text: "x" }];
  const usage = { prompt_tokens: 8 };
  expect(near({ model: "m", choices, usage })).toEqual({ model: "m", usage });
  expect(near({ choices, model: "m", data: choices, usage })).toEqual({ model: "m", usage });
  expect(near({ choices, model: "m", error: "e", data: choices, usage })).toEqual({
    model: "m",
    usage,
    error: "e",
  });
  expect(near({ model: "m", choices, error: "e", data: choices, usage })).toEqual({ model: "m", usage });
});

test("those at the end of many numbers are found, and an error beside them", () => {
  const data = [{ embedding: Array.from({ length: 2000 }, (_, i) => i / 7) }];
  const usage = { prompt_tokens: 8 };
  expect(near({ data, model: "m", usage })).toEqual({ model: "m", usage });
  expect(near({ data, error: "e", usage, model: "m" })).toEqual({ model: "m", usage, error: "e" });
  expect(near({ error: "e", data, usage, model: "m" })).toEqual({ model: "m", usage, error: "e" });
  expect(near({ model: "m", data, usage })).toEqual({ model: "m", usage });
  // An array with nothing in it is in nobody's way.
  expect(near({ data, error: "e", none: [], usage, model: "m" })).toEqual({ model: "m", usage, error: "e" });
  expect(near({ usage, model: "m", none: [], error: "e", data })).toEqual({ model: "m", usage, error: "e" });
});

test("what is no object, or is broken, has no members", () => {
  for (const text of ["", "{", "[]", '{"model"', '{"model":}', "model", '{"a":"', '"usage":1}', "}"])
    expect(MEMBERS.near(Buffer.from(text))).toEqual({});
});
