import { afterAll, expect, test } from "bun:test";

import { demoBanner, demoConfig, startDemoUpstreams } from "../../src/demo/demo.ts";
import { chatBody } from "./raw-client.ts";

const upstreams = startDemoUpstreams();
afterAll(() => {
  for (const upstream of upstreams) upstream.stop();
});

test("the demo has three upstreams with names and ports of their own, on the loopback address", () => {
  expect(new Set(upstreams.map((upstream) => upstream.name)).size).toBe(3);
  expect(new Set(upstreams.map((upstream) => upstream.port)).size).toBe(3);
  for (const { url } of upstreams) expect(url).toStartWith("http://127.0.0.1:");
});

test("the demo's upstreams obey a script in the header", async () => {
  const answers = upstreams.map(async ({ url }) => {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "x-demo-script": "delay=0; status=418" },
      body: JSON.stringify(chatBody(false)),
    });
    return response.status;
  });
  expect(await Promise.all(answers)).toEqual([418, 418, 418]);
});

test("the demo's configuration sends one forward to all upstreams, with breakers and retries", () => {
  const config = demoConfig(upstreams, 3000, 9000) as any;
  expect(Object.keys(config)).toEqual(["http_server", "upstreams", "upstream_groups"]);
  expect(config.http_server.forwards).toMatchObject([{ port: 3000, upstream_group: "demo" }]);
  expect(config.http_server.admin.port).toBe(9000);
  expect(config.upstreams.map((upstream: any) => upstream.url)).toEqual(upstreams.map(({ url }) => url));
  expect(config.upstreams.every((upstream: any) => upstream.breaker.threshold === 0.5)).toBe(true);
  const [group] = config.upstream_groups;
  expect(group.upstreams.map(({ name }: any) => name)).toEqual(upstreams.map(({ name }) => name));
  expect(group.balance.strategy).toBe("response_aware");
  expect(group.http_client.retry.enabled).toBe(true);
});

test("the demo's banner names every address, and its curl lines work as they are", async () => {
  const [quick] = upstreams;
  const forwardUrl = quick?.url as string;
  const adminUrl = "http://127.0.0.1:9000";
  const banner = demoBanner({ forwardUrl, adminUrl, upstreams, notes: ["port 3000 is taken"] });
  expect(banner).toStartWith("note: port 3000 is taken\n");
  for (const { url } of upstreams) expect(banner).toContain(url);
  expect(banner).toContain(`curl ${adminUrl}/metrics`);
  const lines = banner.replaceAll("\\\n", " ").match(/^ +curl .*\/v1\/.*$/gm) ?? [];
  expect(lines).toHaveLength(5);
  const outputs = await Promise.all(
    lines.map((line) => {
      const shell = Bun.spawn(["sh", "-c", line.trim()], { stdout: "pipe", stderr: "ignore" });
      return new Response(shell.stdout).text();
    }),
  );
  expect(outputs[0]).toContain('"object":"chat.completion"');
  expect(outputs[1]).toContain("data: [DONE]");
  expect(outputs[2]).toContain("event: message_stop");
  expect(outputs[3]).toContain("HTTP/1.1 503");
  expect(outputs[4]).toContain("data: {");
  expect(outputs[4]).not.toContain("[DONE]");
}, 15_000);
