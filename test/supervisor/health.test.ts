import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { parseCommandLine } from "../../src/cli.ts";
import { healthUrl } from "../../src/supervisor/health.ts";
import { runBinary } from "../support/binary.ts";
import { configOf } from "../support/config.ts";
import { unusedPort } from "../support/ports.ts";
import { type RunningProxy, startProxy } from "../support/proxy.ts";

const directory = mkdtempSync(join(tmpdir(), "llmproxy-health-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function configFile(text: string): string {
  const file = join(directory, "config.yaml");
  writeFileSync(file, text);
  return file;
}

describe("where to ask", () => {
  const urls: [yaml: string, url: string][] = [
    ["upstreams: []", "http://127.0.0.1:9000/health"],
    ["http_server: { forwards: [] }", "http://127.0.0.1:9000/health"],
    ["http_server: { admin: { port: 9100 } }", "http://127.0.0.1:9100/health"],
    ["http_server: { admin: { address: 0.0.0.0 } }", "http://127.0.0.1:9000/health"],
    ["http_server: { admin: { address: '::' } }", "http://[::1]:9000/health"],
    ["http_server: { admin: { address: '::1', port: 80 } }", "http://[::1]/health"],
    ["http_server: { admin: { address: 10.0.0.7 } }", "http://10.0.0.7:9000/health"],
    ["http_server: { admin: { port: '${PORT}' } }", "http://127.0.0.1:9200/health"],
    ["a: &a { port: 9300 }\nhttp_server: { admin: *a }", "http://127.0.0.1:9300/health"],
    // What is wrong elsewhere, and secrets that are not there, do not matter.
    [
      "upstreams: [{ token: '${NOT_SET}' }]\nhttp_server: { admin: { port: 9400 } }",
      "http://127.0.0.1:9400/health",
    ],
  ];
  test.each(urls)("configuration %j", (yaml, url) => {
    const found = healthUrl({ configFile: configFile(yaml), url: null }, { PORT: "9200" });
    expect(found.ok ? found.url.href : found.reason).toBe(url);
  });

  const failures: [yaml: string, reason: string][] = [
    ["http_server: { admin: { port: 0 } }", "the admin port is any free one, so give the URL"],
    ["http_server: { admin: { port: 70000 } }", "http_server.admin.port: found 70000"],
    ["http_server: { admin: { port: '${NOT_SET}' } }", "environment variable NOT_SET"],
    ["http_server: [", "it cannot be understood"],
    ["http_server: { admin: *nowhere }", "it cannot be understood"],
  ];
  test.each(failures)("configuration %j has no answer", (yaml, reason) => {
    const found = healthUrl({ configFile: configFile(yaml), url: null }, {});
    expect(found.ok ? found.url.href : found.reason).toContain(reason);
  });

  test("without a configuration it is the usual address, and a URL stands for itself", () => {
    const of = (url: string | null) => {
      const found = healthUrl({ configFile: null, url }, {});
      return found.ok ? found.url.href : null;
    };
    expect(of(null)).toBe("http://127.0.0.1:9000/health");
    expect(of("http://10.1.2.3:9001")).toBe("http://10.1.2.3:9001/health");
    expect(of("http://10.1.2.3:9001/ready?x")).toBe("http://10.1.2.3:9001/ready?x");
    for (const url of ["https://10.1.2.3", "http://user:pass@10.1.2.3", "file:///x", "http://"])
      expect(of(url)).toBeNull();
  });
});

describe("the command line", () => {
  const commands: [args: string[], options: unknown][] = [
    [[], { configFile: null, url: null }],
    [["-c", "x"], { configFile: "x", url: null }],
    [["--config=x"], { configFile: "x", url: null }],
    [["http://127.0.0.1:1"], { configFile: null, url: "http://127.0.0.1:1" }],
  ];
  test.each(commands)("health %j", (args, options) => {
    expect(parseCommandLine(["health", ...args])).toEqual({ kind: "health", options } as never);
  });

  const errors: [args: string[], message: string][] = [
    [["--workers=2"], "health takes no option --workers"],
    [["-c", "x", "http://127.0.0.1:1"], "health takes --config FILE or a URL, not both"],
    [["-c", "http://127.0.0.1:1"], "option --config needs a value"],
    [["127.0.0.1"], 'unexpected argument "127.0.0.1"'],
  ];
  test.each(errors)("health %j is a usage error", (args, message) => {
    const command = parseCommandLine(["health", ...args]);
    expect(command.kind).toBe("usage-error");
    expect("text" in command ? command.text : "").toContain(message);
  });

  test("health --help prints the usage", () => {
    expect(parseCommandLine(["health", "--help"]).kind).toBe("help");
  });
});

describe("llmproxyd health", () => {
  let proxy: RunningProxy;
  beforeAll(async () => {
    proxy = await startProxy({ config: configOf({ chat: { upstreams: { none: "http://127.0.0.1:1" } } }) });
  });
  afterAll(async () => proxy[Symbol.asyncDispose]());

  test("exits with 0 when llmproxyd serves, whatever proxy the environment names", async () => {
    const env = { HTTP_PROXY: "http://127.0.0.1:1", http_proxy: "http://127.0.0.1:1" };
    expect(await runBinary(["health", proxy.adminUrl], { env })).toEqual({
      exitCode: 0,
      stdout: "ok\n",
      stderr: "",
    });
  });

  test("reads the address from the configuration", async () => {
    const file = configFile(
      JSON.stringify({ http_server: { admin: { port: Number(new URL(proxy.adminUrl).port) } } }),
    );
    expect((await runBinary(["health", "--config", file])).exitCode).toBe(0);
  });

  test("exits with 1 and says why when nothing listens", async () => {
    const port = unusedPort();
    expect(await runBinary(["health", `http://127.0.0.1:${port}`])).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: `llmproxyd: http://127.0.0.1:${port}/health: nothing listens there\n`,
    });
  });

  const answers: [answer: string, reason: string][] = [
    ["HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "status 503"],
    ["HTTP/1.1 200 OK\r\n", ""],
    ["SSH-2.0-OpenSSH_9.2\r\n", "it does not speak HTTP/1.1"],
    ["", "the connection was closed"],
  ];
  test.each(answers)("the answer %j", async (answer, reason) => {
    using server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.end(answer) },
    });
    const { exitCode, stderr } = await runBinary(["health", `http://127.0.0.1:${server.port}`]);
    expect(stderr).toContain(reason);
    expect(exitCode).toBe(reason === "" ? 0 : 1);
  });

  test("exits with 1 when no answer comes", async () => {
    using server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { exitCode, stderr } = await runBinary(["health", `http://127.0.0.1:${server.port}`]);
    expect(stderr).toContain("no answer within 3 s");
    expect(exitCode).toBe(1);
  });
});
