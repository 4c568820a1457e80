import { describe, expect, test } from "bun:test";

import { type BenchOptions, parseArguments, scenarioIds } from "../../scripts/bench/arguments.ts";

function options(...args: string[]): BenchOptions {
  const parsed = parseArguments(args);
  if (parsed.kind !== "run") throw new Error(`not a run: ${parsed.text}`);
  return parsed.options;
}

function errorOf(...args: string[]): string {
  const parsed = parseArguments(args);
  return parsed.kind === "usage-error" ? parsed.text.split("\n")[0]! : `no error but ${parsed.kind}`;
}

describe("the arguments of the benchmark", () => {
  test("mean all scenarios but the growth of cost when there are none", () => {
    const { scenarios, quick, rounds, settings, compare, json } = options();
    expect(scenarios).toEqual(scenarioIds.filter((id) => id !== "h"));
    expect({ quick, rounds, settings, compare, json }).toEqual({
      quick: false,
      rounds: 3,
      settings: [],
      compare: null,
      json: null,
    });
  });

  test("take values behind a blank and behind an equals sign", () => {
    expect(options("--rounds", "7", "--json=out.json")).toMatchObject({ rounds: 7, json: "out.json" });
  });

  test("give scenarios in their own order, each once", () => {
    expect(options("--scenario", "c,a,c").scenarios).toEqual(["a", "c"]);
  });

  test("need fewer rounds when it must be quick, unless told otherwise", () => {
    expect(options("--quick").rounds).toBe(1);
    expect(options("--quick", "--compare=main").rounds).toBe(3);
    expect(options("--quick", "--rounds=4").rounds).toBe(4);
  });

  test("compare requests and tokens unless other scenarios are named", () => {
    expect(options("--compare", "main").scenarios).toEqual(["a", "c"]);
    expect(options("--compare", "main", "--scenario", "e").scenarios).toEqual(["e"]);
  });

  test("turn a transport into a key of the configuration, and leave it out otherwise", () => {
    expect(options("--transport", "socket").settings).toEqual([
      { path: "upstream_groups.http_client.transport", value: "socket" },
    ]);
    expect(options().settings).toEqual([]);
  });

  test("read settings as JSON where they are, and as text otherwise", () => {
    const { settings } = options("--set", "a.b=true", "--set", "c=12", "--set", "d=x=y");
    expect(settings).toEqual([
      { path: "a.b", value: true },
      { path: "c", value: 12 },
      { path: "d", value: "x=y" },
    ]);
  });

  test("read variants and peers, whose commands may hold anything", () => {
    const { variants, peers } = options(
      "--variant",
      "logged:http_server.access_log.enabled=true,a.b=1",
      "--peer=other=run --port={port} 'a=b'",
    );
    expect(variants).toEqual([
      {
        name: "logged",
        settings: [
          { path: "http_server.access_log.enabled", value: true },
          { path: "a.b", value: 1 },
        ],
      },
    ]);
    expect(peers).toEqual([{ name: "other", command: "run --port={port} 'a=b'" }]);
  });

  test("ask for help at any place", () => {
    expect(parseArguments(["--rounds", "3", "--help"]).kind).toBe("help");
  });

  test.each([
    [["--nothing"], 'bench: unknown option "--nothing"'],
    [["--rounds"], "bench: --rounds needs a value"],
    [["--rounds="], "bench: --rounds needs a value"],
    [["--rounds", "0"], 'bench: --rounds: found "0", expected an integer from 1 to 100'],
    [["--rounds", "2.5"], 'bench: --rounds: found "2.5", expected an integer from 1 to 100'],
    [["--workers", "65"], 'bench: --workers: found "65", expected an integer from 1 to 64'],
    [["--scenario", "a,z"], 'bench: --scenario: found "a,z", expected letters of a,b,c,d,e,f,g,h'],
    [["--transport", "udp"], 'bench: --transport: found "udp", expected one of auto, fetch, socket'],
    [["--peer", "command"], 'bench: --peer: found "command", expected NAME=COMMAND'],
    [["--variant", "name"], 'bench: --variant: found "name", expected NAME:PATH=VALUE[,PATH=VALUE]'],
    [["--compare", "--all"], 'bench: --compare: found "--all", expected a git revision'],
    [["--limit", "1.1"], "bench: --limit needs --compare"],
    [["--compare=a", "--limit=x"], 'bench: --limit: found "x", expected a ratio such as 1.05'],
  ])("are refused: %j", (args, message) => {
    expect(errorOf(...args)).toBe(message);
  });
});
