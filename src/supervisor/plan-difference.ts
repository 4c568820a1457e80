import { byId, type Plan } from "../config/plan.ts";

/** What a configuration changes, by kind: `+added -removed ~changed`, names in order; only kinds that differ. */
export type Difference = Readonly<Record<string, string>>;

/** Compares what two plans say. Ids do not count, and values, which may be secrets, are not shown. Pure. */
export function planDifference(before: Plan, after: Plan): Difference {
  const difference: Record<string, string> = {};
  const add = (kind: string, from: ReadonlyMap<string, string>, to: ReadonlyMap<string, string>) => {
    const text = nameChanges(from, to);
    if (text !== "") difference[kind] = text;
  };
  add("forwards", forwardTexts(before), forwardTexts(after));
  add("upstreams", upstreamTexts(before), upstreamTexts(after));
  add("groups", groupTexts(before), groupTexts(after));
  add("settings", settingTexts(before), settingTexts(after));
  return difference;
}

function nameChanges(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string {
  const added = [...after.keys()].filter((name) => !before.has(name)).map((name) => `+${name}`);
  const removed = [...before.keys()].filter((name) => !after.has(name)).map((name) => `-${name}`);
  const changed = [...after]
    .filter(([name, text]) => before.has(name) && before.get(name) !== text)
    .map(([name]) => `~${name}`);
  return [...added, ...removed, ...changed].join(" ");
}

/** Each entry as a text without ids, by name. */
function forwardTexts({ forwards, groups }: Plan): Map<string, string> {
  const names = byId(groups);
  return new Map(
    forwards.map((forward) => [
      forward.name,
      JSON.stringify({ ...forward, id: null, group: names[forward.group]!.name }),
    ]),
  );
}

function upstreamTexts({ upstreams }: Plan): Map<string, string> {
  return new Map(upstreams.map((upstream) => [upstream.name, JSON.stringify({ ...upstream, id: null })]));
}

function groupTexts({ groups, upstreams }: Plan): Map<string, string> {
  const names = byId(upstreams);
  return new Map(
    groups.map((group) => {
      const members = group.members.map(({ upstream, weight }) => [names[upstream]!.name, weight]);
      return [group.name, JSON.stringify({ ...group, id: null, members })];
    }),
  );
}

function settingTexts({ admin, accessLog, bufferedBytesMax, workers }: Plan): Map<string, string> {
  return new Map([
    ["admin", JSON.stringify(admin)],
    ["access_log", JSON.stringify(accessLog)],
    ["max_buffered_bytes", String(bufferedBytesMax)],
    ["workers", String(workers)],
  ]);
}
