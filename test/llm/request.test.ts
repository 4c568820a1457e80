import { describe, expect, test } from "bun:test";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";

import { describePath } from "../../src/llm/dialect.ts";
import { peekRequest, type RequestPeek, wantsStream } from "../../src/llm/request.ts";

const encoder = new TextEncoder();

const peek = (text: string): RequestPeek => peekRequest(encoder.encode(text));

function modelAndStream(text: string): [string | null, boolean | null] {
  const { model, stream } = peek(text);
  return [model, stream];
}

const messages = (count: number): unknown[] =>
  Array.from({ length: count }, (_, at) => ({ role: "user", content: `say "model": "no" \\ ${at} {[\\"` }));

describe("peekRequest", () => {
  test("finds model and stream wherever they stand at the top level, and nowhere else", () => {
    const body = { model: "gpt-5", stream: true };
    expect(modelAndStream(JSON.stringify(body))).toEqual(["gpt-5", true]);
    expect(modelAndStream(JSON.stringify({ messages: messages(3), ...body }))).toEqual(["gpt-5", true]);
    expect(modelAndStream(JSON.stringify({ ...body, messages: messages(3) }, null, 2))).toEqual([
      "gpt-5",
      true,
    ]);
    expect(
      modelAndStream('{"a":{"model":"no","stream":true},"b":["model"],"c":"\\"model\\":\\"no\\""}'),
    ).toEqual([null, null]);
  });

  test("finds them in a large body near either end, and between long messages and long tools", () => {
    const long = messages(20_000);
    const tools = Array.from({ length: 100 }, (_, at) => ({
      name: `t${at}`,
      parameters: { type: "object", required: ["a"] },
    }));
    const orders = [
      { model: "m", stream: false, messages: long },
      { messages: long, model: "m", stream: false },
      { model: "m", messages: long, stream: false },
      { messages: long, model: "m", stream: false, tools },
      { tools, model: "m", stream: false, messages: long },
    ];
    for (const order of orders) {
      const peeked = peek(JSON.stringify(order));
      expect([Object.keys(order).join(), peeked.model, peeked.stream]).toEqual([
        Object.keys(order).join(),
        "m",
        false,
      ]);
    }
  });

  test("agrees with JSON.parse on bodies of any order and spacing", () => {
    let state = 7;
    const below = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 8) % limit;
    };
    const values = [
      "x",
      'a"b\\',
      "",
      "é🌍",
      1,
      -1.5e3,
      true,
      false,
      null,
      [],
      {},
      [[1, "]"]],
      { model: "inner", s: ["}", { stream: 1 }] },
    ];
    for (let round = 0; round < 5000; round++) {
      const entries = Array.from(
        { length: below(7) },
        (_, at) => [`k${at}`, values[below(values.length)]] as [string, unknown],
      );
      for (const name of ["model", "stream"])
        if (below(3) > 0) entries.splice(below(entries.length + 1), 0, [name, values[below(values.length)]]);
      const text = JSON.stringify(Object.fromEntries(entries), null, below(3));
      const { model, stream } = JSON.parse(text) as { model?: unknown; stream?: unknown };
      const wanted = [
        typeof model === "string" && model !== "" ? model : null,
        typeof stream === "boolean" ? stream : null,
      ];
      expect([text, ...modelAndStream(text)]).toEqual([text, ...wanted]);
    }
  });

  test("is not misled by backslashes before a quote, read from either end", () => {
    for (const text of [
      "\\",
      "\\\\",
      'x\\"',
      `${"y".repeat(60)}\\`,
      `${"y".repeat(60)}"`,
      `\\${"y".repeat(60)}`,
    ]) {
      const member = { text, list: [text, text] };
      expect(modelAndStream(JSON.stringify({ ...member, model: "m", stream: true }))).toEqual(["m", true]);
      const long = messages(5000);
      expect(modelAndStream(JSON.stringify({ long, model: "m", stream: true, ...member }))).toEqual([
        "m",
        true,
      ]);
    }
  });
});

test("a beginning that is known does not mislead", () => {
  const known = '{"model":"m-1"';
  for (let i = 0; i < 100; i++) expect(peek(`${known},"messages":[]}`).model).toBe("m-1");
  const others: [string, string | null][] = [
    [`${known}}`, "m-1"],
    [`${known},"model":"m-2"}`, "m-1"],
    ['{"model":"m-10"}', "m-10"],
    ['{"model":"m-2","messages":[]}', "m-2"],
    ['{"model": "m-1"}', "m-1"],
    ['{"model":"m-1\\"}"}', 'm-1"}'],
    ['{"messages":[],"model":"m-3"}', "m-3"],
    ['{"model":"m"}', "m"],
    ["{}", null],
  ];
  for (const [body, model] of others) expect([body, peek(body).model]).toEqual([body, model]);
  // Whichever of them comes often.
  for (const [body, model] of others)
    for (let i = 0; i < 40; i++) expect([body, peek(body).model]).toEqual([body, model]);
});

test("a beginning is not known by a body that is broken behind it", () => {
  // Read from the end, `model` seems to stand at the top level, as what opens before it is never closed.
  const beginning = '{"messages":[{"content":"hi","model":"m-1"';
  const broken = `${beginning},${Array.from({ length: 150 }, () => '"k":1').join()}}`;
  for (let i = 0; i < 100; i++) expect(peek(broken).model).toBe("m-1");
  expect(peek(`${beginning}}],"model":"m-2"}`).model).toBe("m-2");
});

test("a model beyond the known beginnings is found", () => {
  for (const padding of [100, 110, 113, 114, 115, 116, 120, 200]) {
    const body = (model: string) => `{"user":"${"u".repeat(padding)}","model":"${model}"}`;
    for (let i = 0; i < 40; i++) expect(peek(body("m-1")).model).toBe("m-1");
    expect(peek(body("m-2")).model).toBe("m-2");
  }
});

describe("a body", () => {
  test("has its escapes decoded, and names of absurd length refused", () => {
    expect(modelAndStream('{"model":"a\\/b\\u00e9"}')[0]).toBe("a/bé");
    expect(modelAndStream(JSON.stringify({ model: "m".repeat(300) }))[0]).toBeNull();
  });

  test("that is compressed, multipart or broken is not read, and throws nothing", () => {
    const body = '{"model":"m","stream":true}';
    const part = 'Content-Disposition: form-data; name="model"';
    for (const bytes of [
      zstdCompressSync(body),
      gzipSync(body),
      brotliCompressSync(body),
      encoder.encode(`--x\r\n${part}\r\n\r\n${body}\r\n--x--\r\n`),
    ])
      expect(peekRequest(bytes)).toEqual({ model: null, stream: null, isStreamUnsaid: false });
    for (const text of [
      "",
      " ",
      "[",
      '["model","m"]',
      "model=m",
      "\0",
      '"model"',
      "{",
      "{]",
      '{"model"',
      '{"model":',
      '{"model":}',
      "}".repeat(9),
    ]) {
      expect([text, ...modelAndStream(text)]).toEqual([text, null, null]);
    }
  });

  test("may be cut and changed anywhere", () => {
    const body = encoder.encode(
      JSON.stringify({ messages: messages(2), model: "m", tools: [{ a: ["\\"] }], stream: true }),
    );
    for (let at = 0; at <= body.length; at++) {
      expect(() => peekRequest(body.subarray(0, at))).not.toThrow();
      for (const byte of [0, 34, 92, 123, 125, 255]) {
        const changed = body.slice();
        changed[at % body.length] = byte;
        expect(() => peekRequest(changed)).not.toThrow();
      }
    }
  });

  test("is looked at in a bounded part only", () => {
    const filler = `[${"0,".repeat(100_000)}0]`;
    expect(modelAndStream(`{"a":${filler},"model":"m","b":${filler}}`)).toEqual([null, null]);
    expect(peek(`{"a":${filler},"model":"m","b":${filler}}`).isStreamUnsaid).toBe(false);
  });

  test("that is hostile holds nothing up", () => {
    for (const hostile of ["[", '["', '{"a":', '"\\', "\\", " ", '"",', "{}"]) {
      expect(modelAndStream(`{"x":${hostile.repeat(2_000_000)}`)).toEqual([null, null]);
    }
  });
});

describe("wantsStream", () => {
  const wants = (target: string, text: string): boolean | null =>
    wantsStream(describePath(target), peek(text));

  test("takes the request's word, and the API's habit where it says nothing", () => {
    expect(wants("/v1/chat/completions", '{"stream":true}')).toBe(true);
    expect(wants("/v1/chat/completions", '{"model":"m"}')).toBe(false);
    expect(wants("/api/chat", '{"model":"m"}')).toBe(true);
    expect(wants("/api/chat", '{"stream":false}')).toBe(false);
  });

  test("says nothing of a body that mentions no stream but is not whole", () => {
    const long = `{"model":"m","messages":"${"x".repeat(20_000)}"}`;
    for (const text of ['{"model":"m"}', ' {"model":"m"} ', long, '{"a":{"stream":true}}', '{"a":"stream"}'])
      expect([text, wants("/v1/chat/completions", text)]).toEqual([text, false]);
    for (const text of ['{"model":"m"', '{"model":"m"]', '["model"]', '"model"'])
      expect([text, wants("/v1/chat/completions", text)]).toEqual([text, null]);
  });

  test("takes the path's word, and claims nothing of a body it could not read", () => {
    expect(wants("/v1beta/models/g:streamGenerateContent", "{}")).toBe(true);
    expect(wants("/v1beta/models/g:generateContent", "{}")).toBe(false);
    expect(wants("/v1/chat/completions", "")).toBeNull();
    expect(wants("/api/chat", "rubbish")).toBeNull();
  });
});
