import { expect, test } from "bun:test";

import { describePlan } from "../../src/config/describe.ts";
import { loadValid, sampleWith, sampleYaml } from "./sample.ts";

const join = (basePath: string, requestPath: string) => `<${basePath}>${requestPath}`;

test("each forward is shown with its listener, group, strategy and the final URL of every upstream", () => {
  expect(describePlan(loadValid(sampleYaml).plan, join))
    .toBe(`forward main: http://127.0.0.1:3000 -> group pool, strategy random
  /v1/chat/completions goes to
    alpha  https://alpha.example</v1>/v1/chat/completions
    beta   http://127.0.0.1:8000<>/v1/chat/completions
forward side: http://0.0.0.0:3001 -> group pool, strategy random
  /v1/chat/completions goes to
    alpha  https://alpha.example</v1>/v1/chat/completions
    beta   http://127.0.0.1:8000<>/v1/chat/completions
admin: http://127.0.0.1:9000
`);
});

test("weights are shown where they count, IPv6 addresses in brackets, port 0 in words", () => {
  const text = sampleWith(
    ["strategy: random", "strategy: weighted_roundrobin"],
    ["port: 3000\n      address: 127.0.0.1", 'port: 0\n      address: "::1"'],
  );
  const shown = describePlan(loadValid(text).plan, join);
  expect(shown).toContain("forward main: http://[::1]:(any free port) ->");
  expect(shown).toContain("alpha  https://alpha.example</v1>/v1/chat/completions  weight 2\n");
  expect(shown).toContain("beta   http://127.0.0.1:8000<>/v1/chat/completions  weight 1\n");
});

test("credentials and query secrets are left out", () => {
  const text = sampleWith(
    ["sk-literal", "canary-token"],
    ["value: extra", "value: canary-header"],
    ["http://127.0.0.1:8000", "http://canary-user:canary-password@127.0.0.1:8000/v1?key=canary-query"],
    ["enabled: false\n        url: http://", "enabled: true\n        url: http://canary-proxy:canary-proxy@"],
  );
  const shown = describePlan(loadValid(text).plan, join);
  expect(shown).toContain("beta   http://127.0.0.1:8000</v1>/v1/chat/completions\n");
  expect(shown).not.toContain("canary");
});
