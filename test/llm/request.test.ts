import { describe, expect, test } from "bun:test";
import { zstdCompressSync } from "node:zlib";

import { describePath } from "../../src/llm/dialect.ts";
import { peekRequest, type RequestPeek, wantsStream } from "../../src/llm/request.ts";

const encoder = new TextEncoder();
const JSON_TYPE = "application/json; charset=utf-8";

const peek = (text: string, contentType: string | null = JSON_TYPE): RequestPeek =>
  peekRequest(encoder.encode(text), contentType, null);

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

describe("a body", () => {
  test("has its escapes decoded, and names of absurd length refused", () => {
    expect(modelAndStream('{"model":"a\\/b\\u00e9"}')[0]).toBe("a/bé");
    expect(modelAndStream(JSON.stringify({ model: "m".repeat(300) }))[0]).toBeNull();
  });

  test("that is compressed, multipart or broken is not read, and throws nothing", () => {
    const body = '{"model":"m","stream":true}';
    expect(peekRequest(zstdCompressSync(body), JSON_TYPE, "zstd").model).toBeNull();
    expect(peekRequest(zstdCompressSync(body), JSON_TYPE, null).model).toBeNull();
    expect(peek(body, "multipart/form-data; boundary=x").model).toBeNull();
    expect(peekRequest(encoder.encode(body), JSON_TYPE, "identity").model).toBe("m");
    for (const type of [null, "application/x-www-form-urlencoded", "application/vnd.api+json"])
      expect(peek(body, type).model).toBe("m");
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
      expect(() => peekRequest(body.subarray(0, at), JSON_TYPE, null)).not.toThrow();
      for (const byte of [0, 34, 92, 123, 125, 255]) {
        const changed = body.slice();
        changed[at % body.length] = byte;
        expect(() => peekRequest(changed, JSON_TYPE, null)).not.toThrow();
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
