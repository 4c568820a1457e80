import { describe, expect, test } from "bun:test";

import { casesOf } from "../../scripts/bench/cases.ts";
import { beyondLimit, compareRows, formatComparison } from "../../scripts/bench/comparison.ts";
import { formatReport } from "../../scripts/bench/report.ts";
import type { CaseResult } from "../../scripts/bench/results.ts";
import type { Metric, Sample } from "../../scripts/bench/sample.ts";
import { summarize } from "../../scripts/bench/summary.ts";

type Values = Partial<Record<Metric, number>>;

function sample(values: Values, parts: Partial<Sample> = {}): Sample {
  return { values: { errors: 0, ...values }, threads: [], loadCores: 0, upstreamCores: 0, ...parts };
}

/** One case with rows of samples; the first case of the scenario gives title and columns. */
function result(scenario: "a" | "c" | "f", rows: Record<string, (Sample | null)[]>): CaseResult {
  return {
    of: casesOf([scenario], true)[0]!,
    rows: Object.entries(rows).map(([target, samples]) => ({ target, samples })),
  };
}

/** The line of a target, split where columns end. */
function lineOf(text: string, target: string): string[] {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${target} `));
  return line?.trim().split(/\s{2,}/) ?? [];
}

const closed = result("a", {
  direct: [sample({ perSecond: 40_000, p50Us: 100, p99Us: 300 }), sample({ perSecond: 20_000 })],
  nginx: [
    sample({ perSecond: 20_000, p50Us: 200, p99Us: 500, cpuUs: 10, busiestPercent: 50 }),
    sample({ perSecond: 10_000, p50Us: 400, p99Us: 700, cpuUs: 20, busiestPercent: 40, errors: 2 }),
  ],
  llmproxyd: [
    sample({ perSecond: 16_000, p50Us: 250, p99Us: 900, cpuUs: 15, busiestPercent: 60 }),
    sample({ perSecond: 6_000, p50Us: 450, p99Us: 950, cpuUs: 32, busiestPercent: 70 }),
  ],
});

describe("the report", () => {
  test("shows medians, and ratios of the same round with their range", () => {
    const text = formatReport([closed], "nginx", []);
    expect(lineOf(text, "llmproxyd")).toEqual([
      "llmproxyd",
      "11,000",
      "0.70 x (0.60-0.80)",
      "350",
      "925",
      "23.5",
      "1.55 x (1.50-1.60)",
      "65.0",
      "0",
    ]);
  });

  test("adds errors up, and has no ratio of the baseline to itself", () => {
    const line = lineOf(formatReport([closed], "nginx", []), "nginx");
    expect(line.at(-1)).toBe("2");
    expect(line.filter((cell) => cell === "-").length).toBe(2);
  });

  test("has no ratios without a baseline", () => {
    expect(formatReport([closed], null, [])).not.toContain(" x");
  });

  test("shows what a proxy adds to the direct run, and the ratio of that", () => {
    const lag = (lagP50Us: number): Sample => sample({ perSecond: 1, lagP50Us, lagP99Us: 10 * lagP50Us });
    const streams = result("c", { direct: [lag(50)], nginx: [lag(150)], llmproxyd: [lag(200)] });
    const [row] = summarize([streams], "nginx")[0]!.rows.filter(({ target }) => target === "llmproxyd");
    const cell = (metric: Metric, view: string) =>
      row!.cells.find((candidate) => candidate.metric === metric && candidate.view === view)?.spread?.median;
    expect(cell("lagP50Us", "value")).toBe(200);
    expect(cell("lagP50Us", "added")).toBe(150);
    expect(cell("lagP50Us", "added-ratio")).toBe(1.5);
    expect(cell("lagP99Us", "added-ratio")).toBe(1.5);
  });

  test("gives no ratio where the baseline seems to take time away", () => {
    const lag = (lagP50Us: number): Sample => sample({ perSecond: 1, lagP50Us });
    const streams = result("c", { direct: [lag(50)], nginx: [lag(40)], llmproxyd: [lag(200)] });
    expect(formatReport([streams], "nginx", [])).not.toContain(" x");
  });

  test("names rounds that failed, and what must be known to judge a number", () => {
    const text = formatReport(
      [
        result("a", {
          nginx: [null, sample({ perSecond: 5 }, { loadCores: 0.97 })],
          haproxy: [sample({ perSecond: 5 }, { upstreamCores: 0.97 })],
          llmproxyd: [
            sample(
              { perSecond: 5 },
              {
                threads: [
                  { name: "Worker 1", cores: 0.6 },
                  { name: "JITWorker 1", cores: 0.2 },
                ],
              },
            ),
          ],
        }),
      ],
      "nginx",
      [],
    );
    expect(text).toContain("nginx: failed in 1 of 2 rounds");
    expect(text).toContain("nginx: the load tool itself was at its limit");
    expect(text).toContain("haproxy: the upstream itself was at its limit");
    expect(text).toContain("llmproxyd: its just-in-time compiler still took 25 % of its CPU");
  });

  test("says of each thread at which rate it would be full", () => {
    const threads = [
      { name: "Worker 1", cores: 0.5 },
      { name: "HTTP Client", cores: 0.25 },
      { name: "idle", cores: 0.001 },
    ];
    const rows = { nginx: [sample({ perSecond: 10_000 }, { threads })] };
    const text = formatReport([result("a", { ...rows, llmproxyd: rows.nginx })], "nginx", ["llmproxyd"]);
    const [, table = ""] = text.split("Threads");
    expect(lineOf(table, "json-32")).toEqual(["json-32", "llmproxyd", "Worker 1", "50.0", "50.0", "20,000"]);
    expect(table).toContain("40,000");
    expect(table).not.toContain("idle");
    expect(table).not.toContain("nginx");
  });

  test("puts the growth of cost into one table, with what must be known", () => {
    const grown = casesOf(["h"], true)
      .slice(0, 3)
      .map((of, i) => ({
        of,
        rows: [
          {
            target: "llmproxyd",
            samples: [sample({ cpuUs: 30 + i }), i === 2 ? null : sample({ cpuUs: 40 + i })],
          },
        ],
      }));
    const text = formatReport(grown, "nginx", []);
    expect(lineOf(text, "upstreams in the group: 10")).toContain("36.0");
    expect(lineOf(text, "upstreams in the group: 100")).toContain("32.0");
    expect(text).toContain("llmproxyd: failed in 1 of 2 rounds (growth-upstreams-100)");
    expect(text.match(/how the cost grows/g)).toHaveLength(1);
  });

  test("is plain data in a file, with the rounds in it", () => {
    const summary = summarize([closed], "nginx");
    expect(JSON.parse(JSON.stringify(summary))).toEqual(summary);
    expect(summary[0]?.rows[2]?.rounds.map((round) => round?.values.cpuUs)).toEqual([15, 32]);
    const ratio = summary[0]?.rows[2]?.cells.find(
      ({ metric, view }) => metric === "cpuUs" && view === "ratio",
    );
    expect(ratio?.spread?.median).toBeCloseTo(1.55);
  });
});

describe("the comparison of two revisions", () => {
  const twice = result("a", {
    llmproxyd: [sample({ cpuUs: 11, perSecond: 90 }), sample({ cpuUs: 33, perSecond: 30 }), null],
    "revision main": [
      sample({ cpuUs: 10, perSecond: 100 }),
      sample({ cpuUs: 30, perSecond: 33 }),
      sample({}),
    ],
  });
  const compared = compareRows([twice], "llmproxyd", "revision main");

  test("is pairwise, so that a slow round weighs no more than a fast one", () => {
    expect(compared).toHaveLength(1);
    expect(compared[0]?.rounds).toBe(2);
    expect(compared[0]?.cpu?.median).toBeCloseTo(1.1);
    expect(compared[0]?.rate?.max).toBeCloseTo(30 / 33);
    expect(formatComparison(compared, "main")).toContain("1.100 (1.100-1.100)");
  });

  test("is beyond a limit that the median exceeds, or when there is nothing to compare", () => {
    expect(beyondLimit(compared, 1.2)).toEqual([]);
    expect(beyondLimit(compared, 1.05)).toEqual(compared);
    const failed = compareRows(
      [result("a", { llmproxyd: [null], "revision main": [sample({ cpuUs: 1 })] })],
      "llmproxyd",
      "revision main",
    );
    expect(beyondLimit(failed, 100)).toEqual(failed);
  });

  test("leaves out what has no load", () => {
    const started = result("f", { llmproxyd: [sample({})], "revision main": [sample({})] });
    expect(compareRows([started], "llmproxyd", "revision main")).toEqual([]);
  });
});
