import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

/** The dashboard for Grafana, as far as tests look at it. */
export const dashboard = JSON.parse(
  readFileSync(join(import.meta.dir, "../../examples/grafana/llmproxy.json"), "utf8"),
) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
};

/** Everything that it asks Prometheus, with the title of the panel that does. */
export const queries: readonly (readonly [title: string, expr: string])[] = [
  ...dashboard.panels.flatMap(({ title, targets }) =>
    (targets ?? []).map(({ expr }) => [title, expr] as const),
  ),
  ...dashboard.annotations.list.map(({ expr }) => ["annotation", expr] as const),
];

/** A query of the dashboard as Grafana sends it: all of each variable, and this for the range of rates. */
export function written(expr: string, range: string): string {
  return expr.replaceAll(/\$__rate_interval|\$__range/g, range).replaceAll(/\$[a-z]+/g, ".*");
}
