import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { parse } from "yaml";

import { type Definition, DEFINITIONS } from "../../src/observe/definitions.ts";
import { dashboard, queries, written } from "../support/dashboard.ts";
import { hasPromtool, promtool } from "../support/promtool.ts";

const ROOT = join(import.meta.dir, "../..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}
const alerts = parse(read("examples/prometheus/alerts.yaml")) as { groups: { rules: Rule[] }[] };
const rules = alerts.groups.flatMap((group) => group.rules);

/** Labels that Prometheus itself adds. */
const ADDED = ["instance", "job", "le"];

/** What an expression asks of a metric that there is not: unknown names, and labels that they do not have. */
function mistakesIn(expr: string): string[] {
  const mistakes: string[] = [];
  const labels = new Set(ADDED);
  for (const [, name, matchers] of expr.matchAll(/\b((?:llmproxy|process)_[a-z_]+)(?:\{([^}]*)\})?/g)) {
    const definitions: Readonly<Record<string, Definition>> = DEFINITIONS;
    const definition = definitions[name!] ?? definitions[name!.replace(/_(bucket|sum|count)$/, "")];
    if (definition === undefined) mistakes.push(`there is no metric ${name}`);
    else if (definition.type === "histogram" && definition === definitions[name!])
      mistakes.push(`${name} is a histogram`);
    for (const [, label] of (matchers ?? "").matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)) {
      if (!ADDED.includes(label!) && !definition?.labels.includes(label!))
        mistakes.push(`${name} has no label ${label}`);
    }
    for (const label of definition?.labels ?? []) labels.add(label);
  }
  for (const [, list] of expr.matchAll(/\b(?:by|on|without|ignoring) \(([^)]*)\)/g)) {
    for (const label of list!.split(/, ?/))
      if (!labels.has(label)) mistakes.push(`no metric in it has a label ${label}`);
  }
  return mistakes;
}

describe("the alert rules", () => {
  test.each(rules.map((rule) => [rule.alert, rule] as const))(
    "%s asks for metrics that there are",
    (_, rule) => {
      expect(mistakesIn(rule.expr)).toEqual([]);
      expect(rule.labels.severity).toMatch(/^(warning|critical)$/);
      expect(rule.annotations.summary).not.toBe("");
      expect(rule.annotations.description).not.toBe("");
    },
  );

  test("each have a test that sees them raised", () => {
    const file = parse(read("test/fixtures/prometheus/alerts-test.yaml")) as {
      tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[];
    };
    const raised = file.tests
      .flatMap((each) => each.alert_rule_test)
      .filter((each) => each.exp_alerts.length > 0)
      .map((each) => each.alertname);
    expect(new Set(raised)).toEqual(new Set(rules.map((rule) => rule.alert)));
  });

  test.skipIf(!hasPromtool)(
    "pass promtool and their own tests (skipped where promtool is not installed)",
    async () => {
      const checked = await promtool(["check", "rules", join(ROOT, "examples/prometheus/alerts.yaml")], "");
      expect(checked).toMatchObject({ exitCode: 0 });
      const tested = await promtool(
        ["test", "rules", join(ROOT, "test/fixtures/prometheus/alerts-test.yaml")],
        "",
      );
      expect(tested).toMatchObject({ exitCode: 0 });
    },
  );
});

describe("the dashboard", () => {
  test.each(queries)("%s asks for metrics that there are", (_, expr) => {
    expect(mistakesIn(expr)).toEqual([]);
  });

  test("shows every histogram, all of the language models, and what goes wrong", () => {
    const all = queries.map(([, expr]) => expr).join(" ");
    const hidden = Object.entries<Definition>(DEFINITIONS).filter(
      ([name]) => !new RegExp(`\\b${name}(_bucket)?\\b`).test(all),
    );
    const missed = hidden.filter(
      ([name, { type }]) =>
        type === "histogram" || /_llm_|_errors_|_dropped_|_deaths_|_retries_|_disconnects_/.test(name),
    );
    expect(missed.map(([name]) => name)).toEqual([]);
  });

  test("has panels with ids of their own that do not overlap", () => {
    const { panels } = dashboard;
    expect(new Set(panels.map((panel) => panel.id)).size).toBe(panels.length);
    const taken = new Map<string, string>();
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(`${title} at ${x},${y} over ${taken.get(`${x},${y}`) ?? "nothing"}`).toEndWith(
            "over nothing",
          );
          taken.set(`${x},${y}`, title);
        }
      }
    }
  });

  test("uses only variables that it defines", () => {
    const known = dashboard.templating.list.map(({ name }) => name);
    const used = [...JSON.stringify(dashboard).matchAll(/\$\{?([a-z_]+)/g)].map((match) => match[1]!);
    const own = used.filter((name) => !name.startsWith("__"));
    expect(new Set(own)).toEqual(new Set(known));
  });

  test.skipIf(!hasPromtool)(
    "has queries that Prometheus can read (skipped where promtool is not installed)",
    async () => {
      const asRules = queries.map(([, expr], i) => ({
        record: `query:${i}`,
        expr: written(expr, "5m"),
      }));
      const file = JSON.stringify({ groups: [{ name: "dashboard", rules: asRules }] });
      // The first argument of `check rules` may be standard input.
      expect(await promtool(["check", "rules", "/dev/stdin"], file)).toMatchObject({ exitCode: 0 });
    },
  );
});
