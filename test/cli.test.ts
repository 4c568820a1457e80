import { describe, expect, test } from "bun:test";

import { parseCommandLine, type RunOptions, usage } from "../src/cli.ts";

const defaults: RunOptions = {
  configFile: "config.yaml",
  test: false,
  debug: false,
  watch: false,
  shutdownDelayMs: 0,
  shutdownTimeoutMs: 30_000,
  workers: null,
  demo: false,
};

describe("options", () => {
  const runs: [args: string[], changed: Partial<RunOptions>][] = [
    [[], {}],
    [["--"], {}],
    [["-c", "a.yaml"], { configFile: "a.yaml" }],
    [["-ca.yaml"], { configFile: "a.yaml" }],
    [["--config", "a.yaml"], { configFile: "a.yaml" }],
    [["--config=a.yaml"], { configFile: "a.yaml" }],
    [["--config=a=b.yaml"], { configFile: "a=b.yaml" }],
    [["--config", "-"], { configFile: "-" }],
    [["-c", "a", "--config=b"], { configFile: "b" }],
    [["-t"], { test: true }],
    [["--test"], { test: true }],
    [["-d"], { debug: true }],
    [["--debug"], { debug: true }],
    [["-dt"], { test: true, debug: true }],
    [["-tdc", "x"], { test: true, debug: true, configFile: "x" }],
    [["-tdcx"], { test: true, debug: true, configFile: "x" }],
    [["--shutdown-timeout", "1"], { shutdownTimeoutMs: 1000 }],
    [["--shutdown-timeout=120"], { shutdownTimeoutMs: 120_000 }],
    [["--shutdown-delay", "60"], { shutdownDelayMs: 60_000 }],
    [["-w"], { watch: true }],
    [["--workers", "1"], { workers: 1 }],
    [["--workers=64"], { workers: 64 }],
    [["--demo"], { demo: true }],
    [["--demo", "--workers=2", "-d"], { demo: true, workers: 2, debug: true }],
  ];
  test.each(runs)("%j", (args, changed) => {
    expect(parseCommandLine(args)).toEqual({ kind: "run", options: { ...defaults, ...changed } });
  });

  test("help and version win over what follows them", () => {
    for (const args of [["-h"], ["--help"], ["-dh"], ["-h", "--nonsense"], ["--test", "--help", "stray"]]) {
      expect(parseCommandLine(args)).toEqual({ kind: "help", text: usage });
    }
    for (const args of [["-V"], ["--version"], ["-tV"], ["--version", "--help"]]) {
      expect(parseCommandLine(args)).toEqual({ kind: "version" });
    }
  });

  test("the arguments are left as they were", () => {
    const args = Object.freeze(["-c", "x", "-t"]);
    expect(parseCommandLine(args).kind).toBe("run");
  });
});

describe("usage errors", () => {
  const seconds = "expected an integer from 1 to 120 (seconds)";
  const workers = "expected an integer from 1 to 64";
  const errors: [args: string[], message: string][] = [
    [["--tset"], 'unknown option "--tset" (did you mean "--test"?)'],
    [["--shutdown_timeout=3"], 'unknown option "--shutdown_timeout" (did you mean "--shutdown-timeout"?)'],
    [["--nonsense"], 'unknown option "--nonsense"'],
    [["--nonsense", "--help"], 'unknown option "--nonsense"'],
    [["-x"], 'unknown option "-x"'],
    [["-dx"], 'unknown option "-x"'],
    [["-v"], 'unknown option "-v" (did you mean "-V"?)'],
    [["-test=1"], 'unknown option "-e" (did you mean "--test"?)'],
    [["--test=yes"], 'option --test takes no value, found "yes"'],
    [["--demo="], 'option --demo takes no value, found ""'],
    [["--config"], "option --config needs a value: --config FILE"],
    [["--config="], "option --config needs a value: --config FILE"],
    [["--config", ""], "option --config needs a value: --config FILE"],
    [["-c"], "option --config needs a value: --config FILE"],
    [["-c", "--test"], "option --config needs a value: --config FILE"],
    [["--workers"], "option --workers needs a value: --workers N"],
    [["--workers", "0"], `option --workers: found "0", ${workers}`],
    [["--workers", "65"], `option --workers: found "65", ${workers}`],
    [["--workers", "-1"], `option --workers: found "-1", ${workers}`],
    [["--workers=1.5"], `option --workers: found "1.5", ${workers}`],
    [["--workers=0x4"], `option --workers: found "0x4", ${workers}`],
    [["--workers= 4"], `option --workers: found " 4", ${workers}`],
    [["--workers=auto"], `option --workers: found "auto", ${workers}`],
    [["--shutdown-timeout"], "option --shutdown-timeout needs a value: --shutdown-timeout SECONDS"],
    [["--shutdown-timeout", "0"], `option --shutdown-timeout: found "0", ${seconds}`],
    [
      ["--shutdown-delay", "61"],
      'option --shutdown-delay: found "61", expected an integer from 0 to 60 (seconds)',
    ],
    [["--demo", "--watch"], "--demo has no file to watch: leave out --watch"],
    [["--shutdown-timeout", "121"], `option --shutdown-timeout: found "121", ${seconds}`],
    [["--shutdown-timeout", "10s"], `option --shutdown-timeout: found "10s", ${seconds}`],
    [["config.yaml"], 'unexpected argument "config.yaml"; a configuration file is given with --config FILE'],
    [
      ["-t", "test"],
      'unexpected argument "test" (did you mean "--test"?); a configuration file is given with --config FILE',
    ],
    [["-"], 'unexpected argument "-"; a configuration file is given with --config FILE'],
    [[""], 'unexpected argument ""; a configuration file is given with --config FILE'],
    [["--", "x"], 'unexpected argument "--"; a configuration file is given with --config FILE'],
    [["--demo", "-c", "x"], "--demo has a configuration of its own: leave out --config"],
    [["--\u001b[2J"], 'unknown option "--\\u001b[2J"'],
  ];
  test.each(errors)("%j", (args, message) => {
    expect(parseCommandLine(args)).toEqual({
      kind: "usage-error",
      text: `llmproxyd: ${message}\n\n${usage}`,
    });
  });
});

test("the usage describes every option, with its default and range", () => {
  const options = [
    "-c, --config FILE",
    "-t, --test",
    "-d, --debug",
    "--shutdown-timeout SECONDS",
    "--workers N",
    "--demo",
    "-V, --version",
    "-h, --help",
  ];
  for (const option of options) expect(usage).toMatch(new RegExp(`^ +${option} `, "m"));
  for (const fact of ["default: config.yaml", "1-120 (default: 30)", "1-64"]) expect(usage).toContain(fact);
  expect(Math.max(...usage.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
});
