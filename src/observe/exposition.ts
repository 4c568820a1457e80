import { definitionOf, DEFINITIONS, type MetricName } from "./definitions.ts";

/**
 * Gathers samples and writes them as Prometheus reads them. Samples of the same series are added up.
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export class Exposition {
  private readonly metrics = new Map<MetricName, Map<string, Float64Array>>();

  /** Adds to a series: one number, or for a histogram the counts of its buckets, the infinite one, and the sum. */
  add(metric: MetricName, values: readonly string[], numbers: ArrayLike<number>): void {
    let series = this.metrics.get(metric);
    if (series === undefined) this.metrics.set(metric, (series = new Map()));
    const labels = labelText(definitionOf(metric).labels, values);
    const known = series.get(labels);
    if (known === undefined) series.set(labels, Float64Array.from(numbers));
    else for (let i = 0; i < known.length; i++) known[i]! += numbers[i]!;
  }

  /** All that was added, in the order of the definitions; a metric without series is left out. */
  text(): string {
    const lines: string[] = [];
    for (const metric of Object.keys(DEFINITIONS) as MetricName[]) {
      const series = this.metrics.get(metric);
      if (series === undefined) continue;
      const { type, help, buckets } = definitionOf(metric);
      lines.push(`# HELP ${metric} ${help}`, `# TYPE ${metric} ${type}`);
      for (const [labels, numbers] of series) {
        if (buckets === undefined) lines.push(sample(metric, labels, numbers[0]!));
        else histogramLines(lines, metric, labels, buckets, numbers);
      }
    }
    return `${lines.join("\n")}\n`;
  }
}

function histogramLines(
  lines: string[],
  metric: string,
  labels: string,
  buckets: readonly number[],
  numbers: Float64Array,
): void {
  let count = 0;
  for (let i = 0; i <= buckets.length; i++) {
    count += numbers[i]!;
    const bound = `le="${i < buckets.length ? buckets[i] : "+Inf"}"`;
    lines.push(sample(`${metric}_bucket`, labels === "" ? bound : `${labels},${bound}`, count));
  }
  lines.push(sample(`${metric}_sum`, labels, numbers[buckets.length + 1]!));
  lines.push(sample(`${metric}_count`, labels, count));
}

function sample(name: string, labels: string, value: number): string {
  return labels === "" ? `${name} ${value}` : `${name}{${labels}} ${value}`;
}

function labelText(names: readonly string[], values: readonly string[]): string {
  return names.map((name, i) => `${name}="${escapeLabel(values[i] ?? "")}"`).join(",");
}

/** Half a character, as a client may name a model, has no bytes: written as it is, two series could become the same. */
function escapeLabel(value: string): string {
  return value.toWellFormed().replace(/[\\"\n]/g, (char) => (char === "\n" ? "\\n" : `\\${char}`));
}
