import { expect, test } from "bun:test";

import { CountReader } from "../../src/llm/count-reader.ts";
import { Random } from "../support/random.ts";

const NAMES = ["input_tokens", "output_tokens", "details", "cached"];
const READER = new CountReader(NAMES);

function read(text: string): unknown {
  // Something on either side: only what lies between counts.
  const bytes = Buffer.from(`{"a":${text},"b":7}`);
  return READER.read(bytes, 5, 5 + Buffer.byteLength(text));
}

/** What is expected of a parsed value: known names. */
function known(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).filter(([name]) => NAMES.includes(name));
  return Object.fromEntries(members.map(([name, member]) => [name, known(member)]));
}

test("counts and objects of counts are read, unknown members left out", () => {
  expect(read("0")).toBe(0);
  expect(read("123456789012345")).toBe(123456789012345);
  expect(read("{}")).toEqual({});
  expect(read('{"input_tokens":19,"x":1,"output_tokens":17}')).toEqual({
    input_tokens: 19,
    output_tokens: 17,
  });
  expect(
    read('{ "x" : [ 1.5, "]}" , {"input_tokens":3} ] ,\n"details" : { "cached" : 2 , "y" : "," } }'),
  ).toEqual({
    details: { cached: 2 },
  });
  expect(
    read('{"cost":0.00125,"tier":"standard","input_tokens":null,"more":{"cached":1},"cached":4}'),
  ).toEqual({
    input_tokens: null,
    cached: 4,
  });
  expect(read('{"input_tokens":1,"input_tokens":2}')).toEqual({ input_tokens: 2 });
});

test("names may be long, and differ in the case of their first letter alone", () => {
  const long = "x".repeat(100);
  const reader = new CountReader([long, "Xa", "xa"]);
  const text = Buffer.from(`{"xa":1,"Xa":2,"${long}":3,"${long.toUpperCase()}":4}`);
  expect(reader.read(text, 0, text.length)).toEqual({ xa: 1, Xa: 2, [long]: 3 });
});

test("what is not as simple must be parsed", () => {
  const others = [
    ...["", "{", "[]", "null", "-1", "1.5", "1e3", "01", "1234567890123456", '"7"', "true", "7 ", "1x"],
    ...['{"input_tokens":-1}', '{"input_tokens":1.5}', '{"input_tokens":"1"}', '{"input_tokens":[1]}'],
    ...[
      '{"input_tokens":1e3}',
      '{"input_tokens":01}',
      '{"input_tokens":}',
      '{"input_tokens"}',
      '{"input_tokens":1',
    ],
    ...['{"input_tokens":1,}', '{"input_tokens":1 2}', '{"input_tokens":1}}', "{input_tokens:1}", '{"a":"b}'],
    ...['{"input\\u005ftokens":1}', '{"x":"\\""}', '{"x":1}{}', '{"x":[1}', `{"x":"${"y".repeat(4096)}"}`],
    `${'{"details":'.repeat(9)}{}${"}".repeat(9)}`,
  ];
  for (const text of others) expect([text, read(text)]).toEqual([text, null]);
});

test("a nested text without end costs no more than its bound", () => {
  expect(read('{"details":'.repeat(100_000))).toBeNull();
  expect(read('{"details":'.repeat(300))).toBeNull();
});

test("what is read is what JSON.parse reads", async () => {
  const random = new Random();
  const blank = () => ["", "", "", " ", "\n", "\t "][random.below(6)]!;
  const name = () => [...NAMES, "other", "", "inputXtokens", "outputs_token"][random.below(8)]!;
  const text = (depth: number): string => {
    const kind = random.below(depth > 3 ? 5 : 8);
    if (kind === 0) return "null";
    if (kind === 1) return JSON.stringify(["", "a,b", "}", "]", "ü", '"', "\\"][random.below(7)]);
    if (kind === 2) return ["true", "false", "1.5", "-2", "1e3"][random.below(5)]!;
    if (kind < 6) return String(random.below(10) === 0 ? random.below(2 ** 48) : random.below(1000));
    const members = Array.from({ length: random.below(5) }, () => {
      const value = text(depth + 1);
      return kind === 6
        ? `${blank()}"${name()}"${blank()}:${blank()}${value}${blank()}`
        : `${blank()}${value}${blank()}`;
    });
    return kind === 6 ? `{${members.join(",") || blank()}}` : `[${members.join(",")}]`;
  };
  const seen = { read: 0, left: 0 };
  await random.run(async () => {
    for (let round = 0; round < 20_000; round++) {
      let written = text(0);
      if (random.below(4) === 0 && written.length > 0) {
        const at = random.below(written.length);
        written = written.slice(0, at) + ['"', "}", ",", "1", ""][random.below(5)]! + written.slice(at + 1);
      }
      const got = read(written);
      if (got === null) {
        seen.left++;
        continue;
      }
      seen.read++;
      let parsed: unknown;
      try {
        parsed = JSON.parse(written);
      } catch {
        // Unknown members are not looked at closely; nothing is read of them.
        continue;
      }
      expect<unknown>(got).toEqual(known(parsed));
    }
  });
  expect(seen.read).toBeGreaterThan(2_000);
  expect(seen.left).toBeGreaterThan(2_000);
});
