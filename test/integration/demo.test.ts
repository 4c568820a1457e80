import { expect, test } from "bun:test";

import OpenAI from "openai";

import { type RunningProxy, startProxy } from "../support/proxy.ts";

const FORWARD_PORT = 3000;
const ADMIN_PORT = 9000;

async function startDemo(): Promise<RunningProxy> {
  const proxy = await startProxy({ config: null, args: ["--demo"] });
  // The last line of what it prints.
  await proxy.printed("/metrics\n");
  return proxy;
}

/** Takes a port of the loopback address; null where somebody else has it. */
function take(port: number): { [Symbol.dispose](): void } | null {
  try {
    const listener = Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
    return { [Symbol.dispose]: () => listener.stop(true) };
  } catch {
    return null;
  }
}

/** The commands that the banner says to paste. */
function pasted(banner: string): string[] {
  return [...banner.matchAll(/^ {4}(curl (?:.*\\\n)*.*)$/gm)].map((match) => match[1]!);
}

test("--demo says which ports were taken, and prints those that it uses instead", async () => {
  using _forward = take(FORWARD_PORT);
  using _admin = take(ADMIN_PORT);
  await using proxy = await startDemo();
  expect(proxy.stdout).toContain(`port ${FORWARD_PORT} is taken`);
  expect(proxy.stdout).toContain(`port ${ADMIN_PORT} is taken`);
  expect(proxy.port()).not.toBe(FORWARD_PORT);
  expect(proxy.stdout).toContain(proxy.url());
  expect(proxy.stdout).toContain(proxy.adminUrl);
  const client = new OpenAI({ apiKey: "none", baseURL: `${proxy.url()}/v1` });
  const messages = [{ role: "user" as const, content: "Hello" }];
  const whole = await client.chat.completions.create({ model: "demo-1", messages });
  expect(whole.choices[0]?.message.content).toContain("Hello");
  let streamed = "";
  for await (const chunk of await client.chat.completions.create({ model: "demo-1", messages, stream: true }))
    streamed += chunk.choices[0]?.delta.content ?? "";
  expect(streamed).toContain("Hello");
  expect((await fetch(`${proxy.adminUrl}/health`)).status).toBe(200);
});

test("--demo listens on the ports that it is known for where they are free", async () => {
  const free = [FORWARD_PORT, ADMIN_PORT].every((port) => {
    using taken = take(port);
    return taken !== null;
  });
  await using proxy = await startDemo();
  if (!free) return;
  expect(proxy.port()).toBe(FORWARD_PORT);
  expect(proxy.adminUrl).toEndWith(`:${ADMIN_PORT}`);
  expect(proxy.stdout).not.toContain("taken");
});

/** Runs a line as a shell does that it is pasted into; gives all that it prints. */
async function runLine(line: string): Promise<string> {
  const child = Bun.spawn(["sh", "-c", `${line} -sS`], { stdout: "pipe", stderr: "pipe" });
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return output + errors;
}

/** What a command must print. */
function expectedOf(command: string): string {
  if (command.includes("/metrics")) return "llmproxy_http_requests_total";
  if (command.includes("reset=mid-stream")) return "curl: (";
  if (!command.includes("-N")) return "HTTP/1.1 200";
  return command.includes("/messages") ? "message_stop" : "[DONE]";
}

test.skipIf(Bun.which("curl") === null)("every command that --demo prints to be pasted works", async () => {
  await using proxy = await startDemo();
  const commands = pasted(proxy.stdout);
  expect(commands.length).toBeGreaterThanOrEqual(5);
  const check = async (command: string) => expect(await runLine(command)).toContain(expectedOf(command));
  // The metrics come last, when there is something to be counted.
  const isLast = (command: string) => command.includes("/metrics");
  await Promise.all(commands.filter((command) => !isLast(command)).map(check));
  await Promise.all(commands.filter(isLast).map(check));
});
