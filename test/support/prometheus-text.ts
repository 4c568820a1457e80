/** A series as it stands in the text: name (with `_bucket`, `_sum`, `_count`), labels, value. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

/**
 * Reads the text format 0.0.4 strictly, and throws on whatever is not of it: a sample before its TYPE, a family in two
 * places, a series given twice, a histogram whose buckets do not add up.
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function parsePrometheusText(text: string): Map<string, Family> {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const families = new Map<string, Family>();
  let help: { name: string; text: string } | null = null;
  let current: Family | null = null;
  for (const line of text.slice(0, -1).split("\n")) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (comment?.[1] === "HELP") {
      help = { name: comment[2]!, text: comment[3]! };
    } else if (comment?.[1] === "TYPE") {
      const name = comment[2]!;
      if (families.has(name)) throw new Error(`${name} is there twice`);
      if (help?.name !== name || help.text === "") throw new Error(`${name} has no help`);
      if (!/^(counter|gauge|histogram)$/.test(comment[3]!)) throw new Error(`type of ${name}: ${comment[3]}`);
      current = { name, type: comment[3]!, help: help.text, samples: [] };
      families.set(name, current);
    } else {
      const sample = parseSample(line);
      const suffixed = current?.type === "histogram" ? /_(bucket|sum|count)$/ : /^$/;
      if (current === null || sample.name.replace(suffixed, "") !== current.name)
        throw new Error(`out of place: ${line}`);
      current.samples.push(sample);
    }
  }
  for (const family of families.values()) check(family);
  return families;
}

function parseSample(line: string): Sample {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  if (match === null) throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  let rest = match[2] ?? "";
  while (rest !== "") {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.exec(rest);
    if (label === null) throw new Error(`not a label: ${rest}`);
    if (label[1]! in labels) throw new Error(`label twice: ${line}`);
    labels[label[1]!] = label[2]!.replace(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char));
    rest = rest.slice(label[0].length);
  }
  const value = match[3] === "+Inf" ? Infinity : Number(match[3]);
  if (Number.isNaN(value) && match[3] !== "NaN") throw new Error(`not a value: ${line}`);
  return { name: match[1]!, labels, value };
}

function check(family: Family): void {
  const seen = new Set<string>();
  for (const { name, labels } of family.samples) {
    const key = JSON.stringify([name, Object.entries(labels).sort()]);
    if (seen.has(key)) throw new Error(`twice: ${key}`);
    seen.add(key);
  }
  if (family.type !== "histogram") return;
  const bySeries = new Map<string, { buckets: [number, number][]; sum?: number; count?: number }>();
  for (const { name, labels, value } of family.samples) {
    const { le, ...others } = labels;
    const key = JSON.stringify(Object.entries(others).sort());
    const series = bySeries.get(key) ?? { buckets: [] };
    bySeries.set(key, series);
    if (name.endsWith("_bucket")) series.buckets.push([le === "+Inf" ? Infinity : Number(le), value]);
    else if (name.endsWith("_sum")) series.sum = value;
    else series.count = value;
  }
  for (const [key, { buckets, sum, count }] of bySeries) {
    const ascends = buckets.every(
      ([le, value], i) => i === 0 || (le > buckets[i - 1]![0] && value >= buckets[i - 1]![1]),
    );
    const last = buckets.at(-1);
    if (!ascends || sum === undefined || last?.[0] !== Infinity || last[1] !== count)
      throw new Error(`buckets of ${family.name} ${key} do not add up`);
  }
}

/** The sum of all samples of that name that have these labels, and whatever others. */
export function sumOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  let sum = 0;
  for (const family of families.values()) {
    for (const sample of family.samples) {
      if (sample.name !== name) continue;
      if (Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
        sum += sample.value;
    }
  }
  return sum;
}
