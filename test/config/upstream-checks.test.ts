import { describe, expect, test } from "bun:test";

import { formatProblem } from "../../src/config/problem.ts";
import { type Env, expectErrorAtMark, loadValid, sampleWith } from "./sample.ts";

type Case = [from: string, to: string, path: string, message: string, env?: Env];

const proxy = "upstream_groups[0].http_client.proxy";
const header = "upstreams[0].headers[0]";
const hidden = "found a value that is not shown";

function run(cases: Case[]): void {
  test.each(cases)("%j replaced by %j", (from, to, path, message, env = {}) => {
    expectErrorAtMark(sampleWith([from, to]), path, message, env);
  });
}

describe("credentials", () => {
  const auth = "type: bearer\n      token: sk-literal";
  const authPath = "upstreams[0].auth";
  run([
    [
      auth,
      "«type: bearer",
      `${authPath}.token`,
      "found nothing, expected a token that is not empty, which auth.type bearer needs",
    ],
    [
      auth,
      'type: bearer\n      token: «"  "',
      `${authPath}.token`,
      `${hidden}, expected a token that is not empty, which auth.type bearer needs (the value is empty)`,
    ],
    [
      auth,
      "«type: basic\n      username: u",
      `${authPath}.password`,
      "found nothing, expected a password that is not empty, which auth.type basic needs",
    ],
    [
      auth,
      "«type: basic\n      password: u",
      `${authPath}.username`,
      "found nothing, expected a username that is not empty, which auth.type basic needs",
    ],
    [
      auth,
      "type: basic\n      password: p\n      username: «a:b",
      `${authPath}.username`,
      `${hidden}, expected a user name without a colon`,
    ],
    [
      auth,
      'type: bearer\n      token: «"a\\nb"',
      `${authPath}.token`,
      `${hidden}, expected a value of at most 16 KB without line breaks and control characters`,
    ],
    [
      auth,
      "type: bearer\n      token: «${TOKEN}",
      `${authPath}.token`,
      "found ${TOKEN}, expected a value of at most 16 KB without line breaks and control characters",
      { TOKEN: "a\r\nX: y" },
    ],
    [
      "url: https://alpha.example/v1",
      "url: «https://u:p@alpha.example/v1",
      "upstreams[0].url",
      `${hidden}, expected a URL without user name and password, since there is auth.type bearer`,
    ],
  ]);

  test("credentials that auth.type does not use are a warning", () => {
    const { warnings } = loadValid(sampleWith(["type: bearer", "type: none"]));
    expect(warnings.map(formatProblem)).toEqual([
      "/nowhere/config.yaml:22:7: upstreams[0].auth.token: found a key that auth.type none does not use",
    ]);
  });
});

describe("upstream URLs", () => {
  const url = "url: http://127.0.0.1:8000";
  const expected = "expected an http:// or https:// URL with a host, such as https://api.openai.com/v1";
  const path = "upstreams[1].url";
  const refused = [
    "ftp://a",
    "a.example",
    "http:a",
    "http:/a",
    "http:///a",
    "//a",
    "http://",
    "https://a b",
    "http://a\\b",
    "http://a:0",
    "http://a:99999",
    "http://[::1",
    "http://%00",
  ];
  run(
    refused.map((text): Case => [url, `url: «'${text}'`, path, `found ${JSON.stringify(text)}, ${expected}`]),
  );
  run([
    [url, 'url: «"http://a/\\n"', path, `found "http://a/\\n", ${expected}`],
    [url, "url: «http://a/#x", path, `${hidden}, expected a URL without a fragment (#...)`],
    [url, "url: «http://a/v1?x=1#", path, `${hidden}, expected a URL without a fragment (#...)`],
    [
      url,
      "url: «http://%zz@a",
      path,
      `${hidden}, expected a URL whose user name and password are percent-encoded right`,
    ],
    [
      url,
      "url: «http://a%3Ab:c@a",
      path,
      `${hidden}, expected a URL whose user name and password are allowed: a user name without a colon`,
    ],
    [url, "url: «${BASE}", path, `found \${BASE}, ${expected}`, { BASE: "nonsense" }],
  ]);
});

describe("header operations", () => {
  const operation = "op: insert\n        key: X-Extra\n        value: extra";
  const connection =
    "expected a header that does not belong to the connection (not Connection, Content-Length, Expect, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding or Upgrade)";
  const keys = [
    "Connection",
    "content-length",
    "Transfer-Encoding",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Upgrade",
    "Expect",
    "Proxy-Authorization",
    "proxy-connection",
  ];
  run(
    keys.map((key): Case => [
      "key: X-Extra",
      `key: «${key}`,
      `${header}.key`,
      `found "${key}", ${connection}`,
    ]),
  );
  const notNames = ["X Y", "X:", "", "é", "X-\u007f"];
  run(
    notNames.map((key): Case => [
      "key: X-Extra",
      `key: «${JSON.stringify(key)}`,
      `${header}.key`,
      `found ${JSON.stringify(key).replace("\u007f", "\\u007f")}, expected a header name (letters, digits and any of !#$%&'*+-.^_\`|~)`,
    ]),
  );
  const notValues = ["a\nb", "a\rb", "a\u0000b", "a\u001bb", "a\u007fb"];
  run(
    notValues.map((value): Case => [
      "value: extra",
      `value: «${JSON.stringify(value)}`,
      `${header}.value`,
      `${hidden}, expected a header value of at most 16 KB without line breaks and control characters`,
    ]),
  );
  run([
    [
      "value: extra",
      "value: «${V}",
      `${header}.value`,
      "found ${V}, expected a header value of at most 16 KB without line breaks and control characters",
      { V: "a\nB: c" },
    ],
    [
      operation,
      "«op: insert\n        key: X-Extra",
      `${header}.value`,
      "found nothing, expected a value, which op insert needs",
    ],
    [
      operation,
      "«op: replace\n        key: X-Extra",
      `${header}.value`,
      "found nothing, expected a value, which op replace needs",
    ],
    [
      "op: insert\n        key: X-Extra",
      "op: «insert\n        key: Host",
      `${header}.op`,
      'found "insert", expected replace, the only operation on Host: a request always has one',
    ],
    [
      operation,
      "op: «remove\n        key: host",
      `${header}.op`,
      'found "remove", expected replace, the only operation on Host: a request always has one',
    ],
    [
      operation,
      "op: replace\n        key: HOST\n        value: «a/b",
      `${header}.value`,
      `${hidden}, expected a host name, with or without a port`,
    ],
  ]);

  const allowed = [
    "op: remove\n        key: X-Extra",
    "op: replace\n        key: Host\n        value: gateway.example:8443",
    "op: replace\n        key: Authorization\n        value: Key x",
    'op: insert\n        key: X-Tab\n        value: "a\\tb"',
    'op: insert\n        key: X-Empty\n        value: ""',
  ];
  test.each(allowed)("%j is allowed", (lines) => {
    expect(loadValid(sampleWith([operation, lines])).warnings).toEqual([]);
  });

  test("a value that op remove does not use is a warning", () => {
    const { warnings } = loadValid(sampleWith(["op: insert", "op: remove"]));
    expect(warnings.map(formatProblem)).toEqual([
      `/nowhere/config.yaml:26:9: ${header}.value: found a value, which op remove does not use`,
    ]);
  });
});

describe("outbound proxy", () => {
  const block = "proxy:\n        enabled: false\n        url: http://proxy.example:3128";
  const needed = "expected the URL of the proxy, which enabled: true needs";
  const form = "expected an http:// or https:// URL of a proxy, such as http://user:password@proxy:3128";
  run([
    [block, "proxy:\n        «enabled: true", `${proxy}.url`, `found nothing, ${needed}`],
    [block, "proxy:\n        enabled: true\n        url: «${P:-}", `${proxy}.url`, `${hidden}, ${needed}`],
    [
      block,
      "proxy:\n        enabled: false\n        url: «socks5://p:1",
      `${proxy}.url`,
      `${hidden}, ${form}`,
    ],
    [
      block,
      "proxy:\n        enabled: true\n        url: «http://p:1/x",
      `${proxy}.url`,
      `${hidden}, ${form}, without path, query and fragment`,
    ],
  ]);

  test("an empty URL is allowed while the proxy is off", () => {
    loadValid(sampleWith([block, "proxy:\n        enabled: ${P_ON:-false}\n        url: ${P:-}"]));
  });
});
